/** Switch nodes on Redis: what each one reports is the truth about its calls. */
import type { NodeSummary } from '../../schemas/sessions.ts'
import { toTimestamp } from '../clock.ts'
import type { PageRequest } from '../limits/limits-store.ts'
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { scanPage } from '../redis/redis-scan.ts'
import type { RedisSessionStore } from './redis-session-store.ts'
import { tallyReport } from './node-report.ts'
import type { NodeReconciliation, ReconcileResult } from './session-store.ts'

/** Reconciles nodes, and lists them. */
export class RedisNodes {
  #gate: RedisGate
  #keys: RedisKeys
  #store: Pick<RedisSessionStore, 'renew' | 'releaseFrom'>

  constructor (gate: RedisGate, keys: RedisKeys, store: Pick<RedisSessionStore, 'renew' | 'releaseFrom'>) {
    this.#gate = gate
    this.#keys = keys
    this.#store = store
  }

  /** Renews what is known, registers what is missing, releases what the node no longer has: two round trips, pipelined. */
  async reconcile ({ node, epoch, sessions, ttlMs, asOfMs }: NodeReconciliation): Promise<ReconcileResult> {
    const index = this.#keys.nodeLeases(node)
    const [[noted, value], held] = await Promise.all([
      this.#gate.ask(this.#gate.scripts.reportNode([this.#keys.nodes], [node, epoch])) as Promise<[number, number | string]>,
      this.#gate.ask(this.#gate.or<string[]>([], this.#gate.client.zrange(index, '0', '-1')))
    ])
    if (noted === 0) return { outcome: 'stale_epoch', epoch: Number(value) }
    const listed = new Set(sessions.map(({ username, sessionId }) => `${username} ${sessionId}`))
    const missing = held.filter((member) => !listed.has(member))
    // What the index names beyond its end is no lease any more. What it names still, and no list does, may be too young to release.
    const [renewals, releases] = await Promise.all([
      this.#store.renew(sessions.map((session) => ({ ...session, node })), ttlMs),
      Promise.all(missing.map(async (member) => await this.#release(node, member, asOfMs))),
      this.#gate.ask(this.#gate.or(0, this.#gate.client.zremrangebyscore(index, '-inf', value)))
    ])
    return tallyReport(sessions, renewals, releases.filter(({ outcome }) => outcome === 'released').length)
  }

  /** One page of the nodes that have reported. */
  async list ({ cursor, count }: PageRequest) {
    return await scanPage({
      sources: [async (position, look) => {
        const [next, fields] = await this.#gate.or<[string, string[]]>(['0', []],
          this.#gate.ask(this.#gate.client.hscan(this.#keys.nodes, position, 'COUNT', look)))
        return [next, fields.filter((_field, i) => i % 2 === 0)]
      }],
      load: async (nodes) => await this.#summaries(nodes)
    }, cursor, count)
  }

  async #summaries (nodes: string[]): Promise<NodeSummary[]> {
    const nowMs = await this.#gate.nowMs()
    const [values, counts] = await this.#gate.ask(Promise.all([
      this.#gate.or<Array<string | null>>([], this.#gate.client.hmget(this.#keys.nodes, ...nodes)),
      Promise.all(nodes.map(async (node) =>
        await this.#gate.or(0, this.#gate.client.zcount(this.#keys.nodeLeases(node), `(${nowMs}`, '+inf'))))
    ]))
    return nodes.flatMap((node, i) => {
      const [, epoch, seen] = /^(\d+) (\d+)$/.exec(values[i] ?? '') ?? []
      return seen === undefined ? [] : [{ node, epoch: Number(epoch), last_seen: toTimestamp(Number(seen)), sessions: counts[i] ?? 0 }]
    })
  }

  async #release (node: string, member: string, asOfMs: number) {
    const [username = '', sessionId = ''] = member.split(' ')
    return await this.#store.releaseFrom(username, sessionId, 'missing on its node', { node, startedByMs: asOfMs })
  }
}
