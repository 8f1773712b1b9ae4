/** Switch nodes on Redis: what each one reports is the truth about its calls. */
import type { PageRequest } from '../../../schemas/paging.ts'
import type { NodeSummary } from '../../../schemas/nodes.ts'
import { toTimestamp } from '../../clock.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { scanPage } from '../../redis/scan.ts'
import { tallyReport } from '../node-report.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import type {
  NodeReconciliation,
  ReconcileResult,
  ReleaseResult,
  RenewRequest
} from '../session-store.ts'

/** How many sessions are released at once. */
const RELEASES_AT_ONCE = 50

/** The verbs that a report is made of. */
export interface NodeVerbs {
  /** Renews or registers sessions as those of a node. */
  renewOnNode(node: string, sessions: RenewRequest[], ttlMs: number): Promise<NodeRenewals>
  /** Ends a session if it is of this node and started at or before `startedByMs`. */
  releaseFrom(
    username: string,
    sessionId: string,
    reason: string,
    when: { node: string; startedByMs: number }
  ): Promise<ReleaseResult>
}

/** Reconciles nodes, and lists them. */
export class RedisNodes {
  #executor: RedisExecutor
  #keys: RedisKeys
  #verbs: NodeVerbs

  constructor (executor: RedisExecutor, keys: RedisKeys, verbs: NodeVerbs) {
    this.#executor = executor
    this.#keys = keys
    this.#verbs = verbs
  }

  /** Renews what is known, registers what is missing, then releases what the node no longer has. */
  async reconcile ({
    node,
    epoch,
    sessions,
    ttlMs,
    asOfMs
  }: NodeReconciliation): Promise<ReconcileResult> {
    const [noted, value] = (await this.#executor.run(
      this.#executor.scripts.reportNode([this.#keys.nodes], [node, epoch])
    )) as [number, number]
    if (noted === 0) return { outcome: 'stale_epoch', epoch: Number(value) }
    const renewals = await this.#verbs.renewOnNode(node, sessions, ttlMs)
    const tally = tallyReport(sessions, renewals.outcomes)
    // What started since the report came in is not in it, whenever it was taken.
    const when = { node, startedByMs: Math.min(asOfMs, value) }
    const missing = await this.#missing(
      node,
      sessions,
      renewals,
      tally.renewed + tally.registered,
      value
    )
    await forEachLimit(missing, RELEASES_AT_ONCE, async (member) => {
      const [username = '', sessionId = ''] = member.split(' ')
      const { outcome } = await this.#verbs.releaseFrom(
        username,
        sessionId,
        'missing on its node',
        when
      )
      if (outcome === 'released') tally.released++
    })
    return tally
  }

  /**
   * The members of a node's index that its report does not list. The whole index is long to read:
   * that is left out where the index has just as many members as were renewed, and where those
   * outside the time at which the renewed ones end are all that are too many.
   */
  async #missing (
    node: string,
    sessions: RenewRequest[],
    renewals: NodeRenewals,
    kept: number,
    nowMs: number
  ): Promise<string[]> {
    const { client } = this.#executor
    const index = this.#keys.nodeLeases(node)
    const ask = async (reply: Promise<string[]>) =>
      await this.#executor.run(this.#executor.or<string[]>([], reply))
    // What the index names beyond its end is no lease any more.
    const [, held] = await this.#executor.run(
      Promise.all([
        this.#executor.or(0, client.zremrangebyscore(index, '-inf', nowMs)),
        this.#executor.or(0, client.zcard(index))
      ])
    )
    const distinct = new Set(sessions.map(({ sessionId }) => sessionId)).size === sessions.length
    if (distinct && held === kept) return []
    const listed = new Set(sessions.map(({ username, sessionId }) => `${username} ${sessionId}`))
    const isMissing = (member: string) => !listed.has(member)
    const outside = await Promise.all([
      ask(client.zrangebyscore(index, '-inf', `(${renewals.earliestEndMs}`)),
      ask(client.zrangebyscore(index, `(${renewals.latestEndMs}`, '+inf'))
    ])
    const missing = outside.flat().filter(isMissing)
    if (distinct && kept + missing.length === held) return missing
    return (await ask(client.zrange(index, '0', '-1'))).filter(isMissing)
  }

  /** One page of the nodes that have reported. */
  async list ({ cursor, count }: PageRequest) {
    return await scanPage(
      {
        sources: [
          async (position, look) => {
            const [next, fields] = await this.#executor.or<[string, string[]]>(
              ['0', []],
              this.#executor.run(
                this.#executor.client.hscan(this.#keys.nodes, position, 'COUNT', look)
              )
            )
            return [next, fields.filter((_field, i) => i % 2 === 0)]
          }
        ],
        load: async (nodes) => await this.#summaries(nodes)
      },
      cursor,
      count
    )
  }

  async #summaries (nodes: string[]): Promise<NodeSummary[]> {
    const nowMs = await this.#executor.nowMs()
    const [values, counts] = await this.#executor.run(
      Promise.all([
        this.#executor.or<Array<string | null>>(
          [],
          this.#executor.client.hmget(this.#keys.nodes, ...nodes)
        ),
        Promise.all(
          nodes.map(
            async (node) =>
              await this.#executor.or(
                0,
                this.#executor.client.zcount(this.#keys.nodeLeases(node), `(${nowMs}`, '+inf')
              )
          )
        )
      ])
    )
    return nodes.flatMap((node, i) => {
      const [, epoch, seen] = /^(\d+) (\d+)$/.exec(values[i] ?? '') ?? []
      return seen === undefined
        ? []
        : [
            {
              node,
              epoch: Number(epoch),
              last_seen: toTimestamp(Number(seen)),
              sessions: counts[i] ?? 0
            }
          ]
    })
  }
}
