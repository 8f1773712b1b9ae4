/** Why there is no connection to Redis, in words that name the setting to look at. */

/** What is wrong, and whether somebody has to mend a setting rather than wait for Redis. */
export interface Trouble {
  text: string
  isSetting: boolean
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/

/** By what an error says of itself, the first that fits. */
const TROUBLES: Array<[RegExp, text: string, isSetting: boolean]> = [
  [
    /WRONGPASS|NOAUTH|invalid username-password|invalid password/,
    'Redis refuses the user or the password: check REDIS_USERNAME and REDIS_PASSWORD, or those ' +
      'in REDIS_URL.',
    true
  ],
  [
    /ENOTFOUND|EAI_AGAIN/,
    'the host of Redis is not known: check its name in REDIS_URL, REDIS_HOST, REDIS_SENTINELS or ' +
      'REDIS_CLUSTER_NODES.',
    true
  ],
  [
    CERTIFICATE,
    'the certificate of Redis is not accepted: check REDIS_TLS_CA, its end, and the host that it ' +
      'names.',
    true
  ],
  [
    /ERR_SSL|EPROTO|wrong version number|packet length too long|before secure TLS|ETIMEDOUT.* over TLS/,
    'Redis does not speak TLS there, or refuses ours: check REDIS_TLS, or `rediss:` in ' +
      'REDIS_URL, and the port.',
    true
  ],
  [
    /Protocol error/,
    'what answers there does not speak the protocol of Redis; it may want TLS: check the port, ' +
      'and REDIS_TLS or `rediss:` in REDIS_URL.',
    true
  ],
  [
    /(ECONNRESET|EPIPE).* for the first time/,
    'each connection is cut off at once, as by a Redis that wants TLS: check the port, and ' +
      'REDIS_TLS or `rediss:` in REDIS_URL.',
    true
  ],
  [/ECONNRESET|EPIPE/, 'the connection is cut off.', false],
  [/ECONNREFUSED/, 'nothing listens at the host and port of Redis.', false],
  [/ETIMEDOUT|timed? ?out/i, 'Redis does not answer when it is connected to.', false]
]

/** What is known of the connection. */
export interface Connection {
  /**
   * Whether TLS was asked for: a Redis without it waits for the rest of a greeting that it takes
   * for a command.
   */
  secured: boolean
  /** Whether there has been a connection before: then its loss says nothing of the settings. */
  wasReady: boolean
}

/** What an error of the connection means; its own words where that is not known. */
export function connectionTrouble (error: unknown, connection: Connection): Trouble {
  const { secured, wasReady } = connection
  const isFirst = !secured && !wasReady
  const said = words(error) + (secured ? ' over TLS' : '') + (isFirst ? ' for the first time' : '')
  for (const [pattern, text, isSetting] of TROUBLES) {
    if (pattern.test(said)) return { text: `No connection to Redis: ${text}`, isSetting }
  }
  const first = error instanceof Error ? error.message : String(error)
  return { text: `No connection to Redis: ${first}`, isSetting: false }
}

/** All that an error and its causes say. */
function words (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code = '', lastNodeError, cause, message } = error as NodeJS.ErrnoException & {
    lastNodeError?: unknown
  }
  const inner = [lastNodeError, cause].filter((one) => one !== undefined).map(words)
  return [code, message, ...inner].join(' ')
}
