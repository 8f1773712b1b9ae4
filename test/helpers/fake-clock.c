/* Gives a process a clock of its own: so many seconds ahead as the file FAKE_CLOCK says.
   Only the time of day: timers go by the steady clock. libfaketime cannot be used with Redis, whose
   allocator asks for the time before that library is ready. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

int gettimeofday (struct timeval *now, void *zone) {
  static int file = -2;
  char text[32] = "";
  if (file == -2) {
    char *path = getenv("FAKE_CLOCK");
    file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  }
  long done = syscall(SYS_gettimeofday, now, zone);
  if (done == 0 && file >= 0 && pread(file, text, sizeof text - 1, 0) > 0) now->tv_sec += atol(text);
  return (int) done;
}
