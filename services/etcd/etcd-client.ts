/**
 * Asks etcd by its HTTP gateway: several endpoints, user and password, TLS, and always a deadline.
 */
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

interface KeyValue {
  value?: string
  mod_revision?: string
}

interface Question {
  method: 'GET' | 'POST'
  path: string
  body?: unknown
  token?: string | undefined
}

/** A small client of etcd 3's JSON gateway. */
export class EtcdClient {
  #options: EtcdOptions
  /**
   * Tokens by endpoint: etcd takes a while to check a password, so one is kept for as long as it is
   * taken.
   */
  #tokens = new Map<string, string>()
  /** Which endpoint answered last: the first to be asked for a write. */
  #answering: string | undefined

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
      const answer = (await this.#ask(
        endpoint,
        { method: 'GET', path: '/health' },
        endpointSignal
      )) as { health?: unknown }
      if (String(answer.health) !== 'true') {
        throw new Error(`${endpoint} says that it is not healthy`)
      }
      if (!this.#tokens.has(endpoint)) await this.#login(endpoint, endpointSignal)
    })
  }

  /** The value of a key, and the revision at which it was last changed; 0 when there is none. */
  async get (
    key: string,
    signal: AbortSignal
  ): Promise<{ value: string | undefined; revision: number }> {
    const { kvs } = (await this.#anyEndpoint(
      signal,
      async (endpoint, endpointSignal) =>
        await this.#authorized(endpoint, '/v3/kv/range', { key: base64(key) }, endpointSignal)
    )) as { kvs?: KeyValue[] }
    const found = kvs?.[0]
    return found === undefined
      ? { value: undefined, revision: 0 }
      : {
          value: Buffer.from(found.value ?? '', 'base64').toString(),
          revision: Number(found.mod_revision)
        }
  }

  /** Sets a key, if it has not been changed since the given revision; false when it has. */
  async putIfUnchanged (
    key: string,
    value: string,
    revision: number,
    signal: AbortSignal
  ): Promise<boolean> {
    const { succeeded } = (await this.#firstEndpoint(
      async (endpoint) =>
        await this.#authorized(
          endpoint,
          '/v3/kv/txn',
          {
            compare: [
              { key: base64(key), target: 'MOD', result: 'EQUAL', mod_revision: String(revision) }
            ],
            success: [{ request_put: { key: base64(key), value: base64(value) } }]
          },
          signal
        )
    )) as { succeeded?: boolean }
    return succeeded === true
  }

  /**
   * Asks one endpoint after the other, the one that answered last first: a write is not sent twice
   * at once.
   */
  async #firstEndpoint<T>(ask: (endpoint: string) => Promise<T>): Promise<T> {
    const errors: unknown[] = []
    const rank = (endpoint: string) => (endpoint === this.#answering ? 0 : 1)
    for (const endpoint of this.#options.endpoints.toSorted((a, b) => rank(a) - rank(b))) {
      try {
        return await ask(endpoint)
      } catch (error) {
        errors.push(error)
      }
    }
    throw new AggregateError(errors, 'no etcd endpoint answered')
  }

  /** Asks with a token, a new one where the old one is not taken any more. */
  async #authorized (
    endpoint: string,
    path: string,
    body: object,
    signal: AbortSignal
  ): Promise<unknown> {
    const known = this.#tokens.get(endpoint)
    try {
      return await this.#ask(
        endpoint,
        { method: 'POST', path, body, token: known ?? (await this.#login(endpoint, signal)) },
        signal
      )
    } catch (error) {
      if (known === undefined || signal.aborted) throw error
      return await this.#ask(
        endpoint,
        { method: 'POST', path, body, token: await this.#login(endpoint, signal) },
        signal
      )
    }
  }

  /** Asks all endpoints at once, takes the first good answer and lets go of the others. */
  async #anyEndpoint<T>(
    signal: AbortSignal,
    ask: (endpoint: string, signal: AbortSignal) => Promise<T>
  ): Promise<T> {
    const done = new AbortController()
    try {
      return await Promise.any(
        this.#options.endpoints.map(async (endpoint) => {
          const answer = await ask(endpoint, AbortSignal.any([signal, done.signal]))
          this.#answering = endpoint
          return answer
        })
      )
    } finally {
      done.abort()
    }
  }

  async #login (endpoint: string, signal: AbortSignal): Promise<string | undefined> {
    const { username: name, password } = this.#options
    if (name === undefined) return undefined
    const question: Question = {
      method: 'POST',
      path: '/v3/auth/authenticate',
      body: { name, password }
    }
    this.#tokens.delete(endpoint)
    const { token } = (await this.#ask(endpoint, question, signal)) as { token: string }
    this.#tokens.set(endpoint, token)
    return token
  }

  async #ask (endpoint: string, question: Question, signal: AbortSignal): Promise<unknown> {
    const { ca, cert, key } = this.#options
    const url = new URL(question.path, endpoint)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    return await new Promise((resolve, reject) => {
      const request = send(
        url,
        {
          method: question.method,
          signal,
          agent: false,
          headers: question.token === undefined ? {} : { authorization: question.token },
          ...(url.protocol === 'https:' ? { ca, cert, key } : {})
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            if (response.statusCode !== 200) { reject(new Error(`${endpoint} answered ${response.statusCode}`)) } else resolveJson(Buffer.concat(chunks).toString(), resolve, reject)
          })
        }
      )
      request.on('error', reject)
      request.end(question.body === undefined ? undefined : JSON.stringify(question.body))
    })
  }
}

function base64 (text: string): string {
  return Buffer.from(text).toString('base64')
}

function resolveJson (
  text: string,
  resolve: (value: unknown) => void,
  reject: (error: Error) => void
): void {
  try {
    resolve(JSON.parse(text))
  } catch (cause) {
    reject(new Error('etcd answered what is not JSON', { cause }))
  }
}
