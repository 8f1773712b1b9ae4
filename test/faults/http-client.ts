import { Agent, request } from 'node:http'

/** After how long without an answer a request counts as hanging, in milliseconds. */
export const HANG_MS = 2000

/** One request and what became of it. */
export interface Reply {
  /** 0 when there was no answer: see `failure`. */
  status: number
  /** When it was sent and how long it took, in milliseconds of `performance.now()`. */
  atMs: number
  ms: number
  retryAfter: string | undefined
  /** The answer's JSON. */
  body: any
  failure?: string
}

/** A small client that keeps its connections and gives no request more than two seconds. */
export interface HttpClient {
  ask(method: string, path: string, body?: object): Promise<Reply>
  close(): void
}

/** A client of a service on loopback, with a token on every request. */
export function httpClient (url: string, token: string, maxSockets = 64): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets })
  const ask = async (method: string, path: string, body?: object): Promise<Reply> =>
    await new Promise((resolve) => {
      const atMs = performance.now()
      const text = body && JSON.stringify(body)
      const sent = request(
        url + path,
        {
          method,
          agent,
          headers: {
            authorization: `Bearer ${token}`,
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text)
            })
          }
        },
        (answer) => {
          let received = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk: string) => {
            received += chunk
          })
          answer.on('end', () =>
            settle({
              status: answer.statusCode ?? 0,
              retryAfter: answer.headers['retry-after'],
              body: parsed(received)
            })
          )
          answer.on('error', fail)
        }
      )
      const late = setTimeout(() => sent.destroy(new Error('no answer for 2 s')), HANG_MS)
      const settle = (
        outcome: Pick<Reply, 'status' | 'retryAfter' | 'body'> & { failure?: string }
      ) => {
        clearTimeout(late)
        resolve({ atMs, ms: performance.now() - atMs, ...outcome })
      }
      const fail = (error: Error) =>
        settle({ status: 0, retryAfter: undefined, body: undefined, failure: error.message })
      sent.on('error', fail)
      sent.end(text)
    })
  return { ask, close: () => agent.destroy() }
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
