import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Teardown, temporaryFolder } from '../helpers/process.ts'
import { type RedisServer, startRedis } from '../helpers/redis-server.ts'

/** A disk whose fsync takes as long as one likes. */
export interface SlowDisk {
  /** Starts a Redis on it. */
  startRedis(args: string[]): Promise<RedisServer>
  /** From now on every fsync takes so many milliseconds longer. */
  delay(ms: number): void
}

/** Delays fsync and fdatasync by the milliseconds that a file says, read anew each time. */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static void wait_a_little(void) {
  const char *path = getenv("FSYNC_DELAY_FILE");
  FILE *file = path ? fopen(path, "r") : NULL;
  long ms = 0;
  if (!file) return;
  if (fscanf(file, "%ld", &ms) != 1) ms = 0;
  fclose(file);
  struct timespec span = { ms / 1000, ms % 1000 * 1000000 };
  if (ms > 0) nanosleep(&span, NULL);
}
int fsync(int fd) { wait_a_little(); return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { wait_a_little(); return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
`

/** Makes such a disk; undefined where there is no C compiler. */
export function startSlowDisk (t: Teardown): SlowDisk | undefined {
  const folder = temporaryFolder(t)
  const at = (name: string) => join(folder, name)
  const [source, library, delayFile, dir] = [at('slow.c'), at('slow.so'), at('delay'), at('data')]
  writeFileSync(source, SHIM)
  mkdirSync(dir)
  if (spawnSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl']).status !== 0) {
    return undefined
  }
  const delay = (ms: number) => writeFileSync(delayFile, String(ms))
  delay(0)
  return {
    delay,
    startRedis: async (args) =>
      await startRedis(t, { dir, args, env: { LD_PRELOAD: library, FSYNC_DELAY_FILE: delayFile } })
  }
}
