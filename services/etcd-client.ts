/** Asks etcd by its HTTP gateway: several endpoints, user and password, TLS, and always a deadline. */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

/** How etcd is reached. */
export interface EtcdOptions {
  /** `http://` or `https://` URLs, without a path. */
  endpoints: string[]
  username?: string | undefined
  password?: string | undefined
  /** PEM texts: the authority that signed etcd's certificate, and our own certificate and key. */
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}

interface Question { method: 'GET' | 'POST', path: string, body?: unknown, token?: string | undefined }

/** A small client of etcd 3's JSON gateway. */
export class EtcdClient {
  #options: EtcdOptions

  constructor (options: EtcdOptions) {
    this.#options = options
  }

  /**
   * Whether etcd is well: the first endpoint that says so is enough.
   * With a user, it must also let us in, for a password that changed is an outage to us.
   * @throws Error when no endpoint is well before the signal aborts
   */
  async health (signal: AbortSignal): Promise<void> {
    await this.#anyEndpoint(signal, async (endpoint, endpointSignal) => {
      const answer = await this.#ask(endpoint, { method: 'GET', path: '/health' }, endpointSignal) as { health?: unknown }
      if (String(answer.health) !== 'true') throw new Error(`${endpoint} says that it is not healthy`)
      await this.#login(endpoint, endpointSignal)
    })
  }

  /** Asks all endpoints at once, takes the first good answer and lets go of the others. */
  async #anyEndpoint<T> (signal: AbortSignal, ask: (endpoint: string, signal: AbortSignal) => Promise<T>): Promise<T> {
    const done = new AbortController()
    try {
      return await Promise.any(this.#options.endpoints.map(async (endpoint) =>
        await ask(endpoint, AbortSignal.any([signal, done.signal]))))
    } finally {
      done.abort()
    }
  }

  async #login (endpoint: string, signal: AbortSignal): Promise<string | undefined> {
    const { username: name, password } = this.#options
    if (name === undefined) return undefined
    const { token } = await this.#ask(endpoint, { method: 'POST', path: '/v3/auth/authenticate', body: { name, password } }, signal) as { token: string }
    return token
  }

  async #ask (endpoint: string, question: Question, signal: AbortSignal): Promise<unknown> {
    const { ca, cert, key } = this.#options
    const url = new URL(question.path, endpoint)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    return await new Promise((resolve, reject) => {
      const request = send(url, {
        method: question.method,
        signal,
        agent: false,
        headers: question.token === undefined ? {} : { authorization: question.token },
        ...(url.protocol === 'https:' ? { ca, cert, key } : {})
      }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          if (response.statusCode !== 200) reject(new Error(`${endpoint} answered ${response.statusCode}`))
          else resolveJson(Buffer.concat(chunks).toString(), resolve, reject)
        })
      })
      request.on('error', reject)
      request.end(question.body === undefined ? undefined : JSON.stringify(question.body))
    })
  }
}

function resolveJson (text: string, resolve: (value: unknown) => void, reject: (error: Error) => void): void {
  try {
    resolve(JSON.parse(text))
  } catch (cause) {
    reject(new Error('etcd answered what is not JSON', { cause }))
  }
}
