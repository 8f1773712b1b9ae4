/**
 * A client of etcd's HTTP gateway: several endpoints, user and password, TLS, and a deadline for
 * every request.
 */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { readBounded } from '../util/read-bounded.ts'
import { withoutPasswords } from '../util/without-passwords.ts'

/** The largest answer that is read, in bytes: more than any value that etcd takes. */
const LARGEST_ANSWER = 4 * 1024 * 1024

/** How to reach etcd. */
export interface EtcdOptions {
  /** `http://` or `https://` URLs, without a path. */
  endpoints: string[]
  username?: string | undefined
  password?: string | undefined
  /**
   * PEM texts, looked at for each request: the authority that signed etcd's certificate, and the
   * client's certificate and key.
   */
  tls?: { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }
}

interface KeyValue {
  value?: string
  mod_revision?: string
}

interface EtcdRequest {
  method: 'GET' | 'POST'
  path: string
  body?: unknown
  token?: string | undefined
}

/** Reads and writes keys of etcd 3, and asks for its health. */
export class EtcdClient {
  #options: EtcdOptions
  /** Tokens by endpoint, kept while etcd accepts them: it takes a while to check a password. */
  #tokens = new Map<string, string>()
  /** The endpoint that answered last, which is the first to be sent a write. */
  #answering: string | undefined

  constructor (options: EtcdOptions) {
    this.#options = options
  }

  /**
   * Settles when one endpoint says that it is healthy. If a user is configured, that endpoint must
   * accept the password, too: with a changed password etcd is out of reach for this service.
   * @throws Error when no endpoint is healthy before the signal aborts
   */
  async health (signal: AbortSignal): Promise<void> {
    await this.#anyEndpoint(signal, async (endpoint, endpointSignal) => {
      const answer = (await this.#ask(
        endpoint,
        { method: 'GET', path: '/health' },
        endpointSignal
      )) as { health?: unknown }
      if (String(answer.health) !== 'true') {
        throw new Error(`${withoutPasswords(endpoint)} says that it is not healthy`)
      }
      if (!this.#tokens.has(endpoint)) await this.#login(endpoint, endpointSignal)
    })
  }

  /**
   * The value of a key, and the revision of its last change; 0 where there is no value.
   * @param at - the revision of etcd at which it is read; undefined for now
   */
  async get (
    key: string,
    signal: AbortSignal,
    at?: number
  ): Promise<{ value: string | undefined; revision: number }> {
    const { kvs } = (await this.#anyEndpoint(
      signal,
      async (endpoint, endpointSignal) =>
        await this.#authorized(
          endpoint,
          '/v3/kv/range',
          { key: base64(key), ...(at !== undefined && { revision: String(at) }) },
          endpointSignal
        )
    )) as { kvs?: KeyValue[] }
    const found = kvs?.[0]
    return found === undefined
      ? { value: undefined, revision: 0 }
      : {
          value: Buffer.from(found.value ?? '', 'base64').toString(),
          revision: Number(found.mod_revision)
        }
  }

  /** Sets a key unless it has changed since the given revision. @returns whether it was set */
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
   * Asks one endpoint after the other, beginning with the one that answered last, so that a write
   * is never sent to two endpoints at once.
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

  /** Sends a request with a token, and once more with a new token if etcd refuses the old one. */
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

  /** Asks all endpoints at once, takes the first good answer and cancels the other requests. */
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
    const login: EtcdRequest = {
      method: 'POST',
      path: '/v3/auth/authenticate',
      body: { name, password }
    }
    this.#tokens.delete(endpoint)
    const { token } = (await this.#ask(endpoint, login, signal)) as { token: string }
    this.#tokens.set(endpoint, token)
    return token
  }

  async #ask (endpoint: string, asked: EtcdRequest, signal: AbortSignal): Promise<unknown> {
    const url = new URL(asked.path, endpoint)
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    return await new Promise((resolve, reject) => {
      const request = send(
        url,
        {
          method: asked.method,
          signal,
          agent: false,
          headers: asked.token === undefined ? {} : { authorization: asked.token },
          ...(url.protocol === 'https:' ? this.#options.tls : {})
        },
        (response) => {
          readBounded(response, LARGEST_ANSWER)
            .then((text) => {
              if (response.statusCode === 200) return parsed(text)
              throw new Error(`${withoutPasswords(endpoint)} answered ${response.statusCode}`)
            })
            .then(resolve, reject)
        }
      )
      request.on('error', reject)
      request.end(asked.body === undefined ? undefined : JSON.stringify(asked.body))
    })
  }
}

function base64 (text: string): string {
  return Buffer.from(text).toString('base64')
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error('etcd did not answer with JSON', { cause })
  }
}
