/**
 * A noisy neighbour: each kind of caller does the dearest that it may, as fast as it can, beside
 * 200 admissions a second. Bounds in milliseconds need a machine that does nothing else: `npm run
 * test:neighbour`.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSigner } from 'fast-jwt'
import t, { type Test } from 'tap'
import { watchPeakRss } from '../../bench/harness/proc.ts'
import { serveApart, type ServiceProcess } from '../faults/service.ts'
import { TEST_SECRET } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import type { Admissions, Order } from './admissions.ts'
import type { AttackOrder } from './attacker.ts'
import { ATTACKERS, type Attacker } from './attacks.ts'

/** How many times as long the 99th percentile of admissions may be; and the most memory, in MiB. */
const [MOST_TIMES, MOST_RSS_MIB] = [3, 768]
const USERS = 50_000
/** How long admissions are watched without and with an attack, in milliseconds. */
const [QUIET_MS, ATTACK_MS] = [8_000, 12_000]

/** What became of the admissions beside one attacker. */
interface Row {
  who: string
  without: Admissions
  beside: Admissions
  statuses: Record<string, number>
  rssMiB: number
}

const sign = createSigner({ key: TEST_SECRET, expiresIn: 3600_000 })

await t.test('admissions beside a noisy neighbour', async (t) => {
  const redis = await startRedis(t)
  const prefix = 'voice-ferry-c4:'
  const end = Date.now() + 3_600_000
  const commands = function * () {
    for (let i = 0; i < USERS; i++) {
      yield `ZADD ${prefix}user-leases:user-${i} ${end} s-${i}\r\n`
      yield `SET ${prefix}user-limit:user-${i} 5\r\n`
      yield `ZADD ${prefix}user-leases:dry ${end + i} dry-${i}\r\n`
      yield `SET ${prefix}session-lease:dry-${i} "+dry ${end - i} n1 " PX 3600000\r\n`
    }
  }
  await redis.load(Buffer.from([...commands()].join('')))
  const service = await serveApart(t, {
    REDIS_URL: redis.url,
    MAX_SESSIONS_PER_USER: '100',
    SESSION_LIMIT_ACTION: 'terminate_oldest',
    ADMIN_USERNAME: 'root',
    ADMIN_PASSWORD_HASH: `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  })
  const caller = startChild(t, 'admissions.ts')
  await admissions(caller, service, QUIET_MS / 2)

  const rows: Row[] = []
  const only = process.env['NEIGHBOUR']
  for (const attacker of ATTACKERS.filter(({ who }) => only === undefined || who === only)) {
    const row = await beside(t, attacker, service, caller)
    rows.push(row)
    t.comment(tableOf([row]))
    const { who, without, beside: with_, rssMiB } = row
    const times = with_.p99 / without.p99
    t.ok(times <= MOST_TIMES, `${who}: p99 is ${times.toFixed(1)} times as long`)
    t.equal(with_.degraded, 0, `${who}: none is degraded`)
    t.equal(with_.failed, 0, `${who}: none fails, such as ${with_.failure}`)
    t.ok(rssMiB <= MOST_RSS_MIB, `${who}: ${rssMiB.toFixed()} MiB`)
  }
  t.comment(`\n${tableOf(rows)}`)
  if (only === undefined) writeFileSync('.cache/neighbour.md', `${tableOf(rows)}\n`)
})

/** Watches admissions for a while without the attacker, and then with it. */
async function beside (
  t: Test,
  { who, claims }: Attacker,
  service: ServiceProcess,
  caller: ChildProcess
): Promise<Row> {
  await sleep(2_000)
  const without = await admissions(caller, service, QUIET_MS)
  const attacker = startChild(t, 'attacker.ts')
  const token = claims === null ? null : sign(claims)
  const peak = watchPeakRss(service.pid, 50)
  attacker.send({ url: service.url, who, token } satisfies AttackOrder)
  await sleep(1_000)
  const beside = await admissions(caller, service, ATTACK_MS)
  attacker.send('stop')
  const [statuses] = (await once(attacker, 'message')) as [Record<string, number>]
  return { who, without, beside, statuses, rssMiB: peak() / 2 ** 20 }
}

function startChild (t: Test, file: string): ChildProcess {
  const child = fork(new URL(file, import.meta.url))
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

async function admissions (
  caller: ChildProcess,
  { url, token }: ServiceProcess,
  ms: number
): Promise<Admissions> {
  caller.send({ url, token, ms } satisfies Order)
  const [result] = (await once(caller, 'message')) as [Admissions]
  return result
}

/** The rows as a table of Markdown. */
function tableOf (rows: Row[]): string {
  const ms = (value: number) => value.toFixed(1)
  return [
    '| attacker | its answers | p99 without, ms | p99 beside, ms | times | longest, ms ' +
      '| degraded | failed | RSS, MiB |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map(({ who, without, beside, statuses, rssMiB }) =>
      `| ${[
        who,
        Object.entries(statuses).map(([status, n]) => `${n} × ${status}`).join(', '),
        ms(without.p99),
        ms(beside.p99),
        ms(beside.p99 / without.p99),
        ms(beside.longest),
        beside.degraded,
        beside.failed,
        rssMiB.toFixed()
      ].join(' | ')} |`)
  ].join('\n')
}
