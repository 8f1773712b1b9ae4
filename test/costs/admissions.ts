/**
 * A process that asks for 200 admissions a second, whether or not the ones before are answered, and
 * says how long each took from when it was due. It is told for how long, and answers each time.
 */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const PER_SECOND = 200
/** How long an answer may take, in milliseconds; then it counts as failed. */
const DEADLINE_MS = 5_000

/** What is asked of the process. */
export interface Order {
  url: string
  token: string
  ms: number
}

/** What came of the admissions. */
export interface Admissions {
  asked: number
  p50: number
  p99: number
  longest: number
  /** Answers with `degraded: true`. */
  degraded: number
  /** Answers that are no 201, and requests without an answer. */
  failed: number
  /** One of those. */
  failure: string | undefined
}

const agent = new Agent({ keepAlive: true, maxSockets: 100 })
let next = 0

process.on('message', (order: Order) => {
  void run(order).then((result) => process.send?.(result))
})

async function run ({ url, token, ms }: Order): Promise<Admissions> {
  const tookMs: number[] = []
  const result: Admissions = {
    asked: 0, p50: 0, p99: 0, longest: 0, degraded: 0, failed: 0, failure: undefined
  }
  const one = async (dueMs: number) => {
    const i = next++
    const body = { username: `caller-${i % 1000}`, session_id: `asked-${i}`, ttl: 10 }
    const answer = await ask(url, token, JSON.stringify(body))
    tookMs.push(performance.now() - dueMs)
    if (answer.includes('"degraded":true')) result.degraded++
    if (!answer.startsWith('201 ')) {
      result.failed++
      result.failure ??= answer.slice(0, 200)
    }
  }
  const underWay: Array<Promise<void>> = []
  const startMs = performance.now()
  while (performance.now() - startMs < ms) {
    const due = ((performance.now() - startMs) / 1000) * PER_SECOND
    for (; result.asked < due; result.asked++) {
      underWay.push(one(startMs + (result.asked * 1000) / PER_SECOND))
    }
    await sleep(1)
  }
  await Promise.all(underWay)
  tookMs.sort((a, b) => a - b)
  const at = (share: number) => tookMs[Math.min(tookMs.length - 1, tookMs.length * share | 0)] ?? 0
  return { ...result, p50: at(0.5), p99: at(0.99), longest: at(1) }
}

/** The status and the body of an answer. */
async function ask (url: string, token: string, body: string): Promise<string> {
  return await new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const sent = request(
      `${url}/api/sessions`,
      { method: 'POST', agent, headers, signal: AbortSignal.timeout(DEADLINE_MS) },
      (response) => {
        let text = `${response.statusCode} `
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('close', () => resolve(text))
      }
    )
    sent.on('error', (error) => resolve(`0 ${error.message}`))
    sent.end(body)
  })
}
