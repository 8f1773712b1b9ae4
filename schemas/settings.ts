/**
 * Every setting: its name, form, default and meaning. The settings table and .env.example are held
 * to this.
 */
import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { SESSION_LIMIT_ACTIONS } from './policy.ts'
import { stringEnum } from './names.ts'

/** The shortest secret that HS256 may be used with, in bytes (RFC 7518, 3.2). */
export const MIN_SECRET_BYTES = 32

/** `host:port` pairs, separated by commas; an IPv6 address in brackets. */
const HOST_LIST =
  '^\\s*(\\[[0-9a-fA-F:]+\\]|[^,:\\s]+):\\d{1,5}(\\s*,\\s*(\\[[0-9a-fA-F:]+\\]|[^,:\\s]+):\\d{1,5})*\\s*$'

/** Origins as a browser sends them (RFC 6454, 6.2), separated by commas: no path, no wildcard. */
const ORIGIN_LIST = '^\\s*https?://[^\\s,/*?#@]+(\\s*,\\s*https?://[^\\s,/*?#@]+)*\\s*$'

const text = (description: string, options = {}) => Type.String({ description, ...options })
const flag = (description: string, value: boolean) => Type.Boolean({ description, default: value })
const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)

export const SettingsSchema = Type.Object({
  NODE_ENV: text(
    '`production` refuses to start without a JWT_SECRET of at least 32 bytes, or keys of an identity provider.',
    {
      default: 'development'
    }
  ),
  HOST: text('Address to listen on.', { default: '0.0.0.0' }),
  PORT: Type.Integer({
    description: 'Port to listen on; 0 takes a free one.',
    minimum: 0,
    maximum: 65535,
    default: 3001
  }),
  LOG_LEVEL: stringEnum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    description: 'Least severity that is logged.',
    default: 'info'
  }),

  REDIS_URL: optional(
    text(
      'Where Redis is: `redis://user:password@host:6379/0`, or `rediss://` for TLS. Goes before REDIS_HOST.',
      {
        pattern: '^rediss?://'
      }
    )
  ),
  REDIS_HOST: optional(
    text('Where Redis is, when there is no REDIS_URL. With neither, everything is kept in memory.')
  ),
  REDIS_PORT: Type.Integer({
    description: 'Port of REDIS_HOST.',
    minimum: 1,
    maximum: 65535,
    default: 6379
  }),
  REDIS_USERNAME: optional(text('ACL user.')),
  REDIS_PASSWORD: optional(text('Password.')),
  REDIS_DB: Type.Integer({
    description: 'Database number.',
    minimum: 0,
    maximum: 1_000_000,
    default: 0
  }),
  REDIS_SENTINELS: optional(
    text(
      'Sentinels, separated by commas: `sentinel-0:26379,sentinel-1:26379`. Goes before REDIS_URL.',
      {
        pattern: HOST_LIST
      }
    )
  ),
  REDIS_SENTINEL_MASTER: text('The name under which the Sentinels know the master.', {
    default: 'mymaster'
  }),
  REDIS_SENTINEL_USERNAME: optional(text('ACL user of the Sentinels.')),
  REDIS_SENTINEL_PASSWORD: optional(
    text('Password of the Sentinels; Redis itself takes REDIS_PASSWORD.')
  ),
  REDIS_CLUSTER_NODES: optional(
    text(
      'Some nodes of a Redis Cluster, separated by commas: `redis-0:6379,redis-1:6379`. ' +
        'Goes before REDIS_SENTINELS.',
      {
        pattern: HOST_LIST
      }
    )
  ),
  REDIS_TLS: flag(
    'TLS to Redis, Sentinels and Cluster nodes; REDIS_URL says so by `rediss://`.',
    false
  ),
  REDIS_TLS_CA: optional(text("PEM file: the authority that signed Redis' certificate.")),
  REDIS_TLS_CERT: optional(text('PEM file: our certificate.')),
  REDIS_TLS_KEY: optional(text('PEM file: our key.')),
  REDIS_KEY_PREFIX: text('What every key begins with; the switch uses the default.', {
    default: 'voice-ferry-c4:'
  }),
  REDIS_TIMEOUT_MS: Type.Integer({
    description: 'How long one question to Redis may take, in milliseconds.',
    minimum: 20,
    maximum: 10_000,
    default: 200
  }),
  MOCK_SESSION_LIMITS: flag('Keep everything in memory, even when a Redis is configured.', false),

  OUTAGE_MODE: stringEnum(['local', 'deny', 'allow'], {
    description:
      'Admission while Redis is away: `local` decides by what this replica knows, `deny` refuses with 503, `allow` admits all.',
    default: 'local'
  }),

  ENABLE_SESSION_LIMITS: flag('Whether limits are enforced, where no policy is stored yet.', true),
  MAX_SESSIONS_PER_USER: Type.Integer({
    description:
      'The limit of users without their own, where no policy is stored yet; 0 is unlimited.',
    minimum: 0,
    maximum: 1_000_000,
    default: 5
  }),
  SESSION_LIMIT_ACTION: stringEnum(SESSION_LIMIT_ACTIONS, {
    description: 'What happens at the limit, where no policy is stored yet.',
    default: 'reject'
  }),
  SIP_REJECT_STATUS: Type.Integer({
    description: 'The SIP status that a switch is told to answer with when the limit is reached.',
    minimum: 400,
    maximum: 699,
    default: 486
  }),
  SIP_REJECT_REASON: text('The SIP reason phrase that goes with it.', {
    default: 'Busy Here',
    maxLength: 128
  }),
  GHOST_SWEEP_INTERVAL_SECONDS: Type.Integer({
    description:
      'How often ghosts are swept, in seconds; 0 leaves it to `POST /api/sessions/sweep`.',
    minimum: 0,
    maximum: 86_400,
    default: 30
  }),

  ETCD_ENDPOINTS: optional(
    text("etcd's URLs, separated by commas: `http://etcd-0:2379,http://etcd-1:2379`.", {
      pattern: '^\\s*https?://[^,\\s]+(\\s*,\\s*https?://[^,\\s]+)*\\s*$'
    })
  ),
  ETCD_USERNAME: optional(text('etcd user.')),
  ETCD_PASSWORD: optional(text('Password of the etcd user.')),
  ETCD_TLS_CA: optional(text("PEM file: the authority that signed etcd's certificate.")),
  ETCD_TLS_CERT: optional(text('PEM file: our certificate for etcd.')),
  ETCD_TLS_KEY: optional(text('PEM file: our key for etcd.')),
  ETCD_POLICY_KEY: optional(
    text(
      'etcd key that holds the policy as JSON, `/voice-ferry-c4/config/session-limits` for Voice Ferry. ' +
        'The policy is then kept there.'
    )
  ),
  ETCD_REQUIRED: flag('Whether the service counts as not ready without etcd.', false),

  TRUSTED_PROXIES: optional(
    text(
      'Addresses of the proxies in front, or their networks, separated by commas: `10.0.0.7,10.1.0.0/16`. ' +
        'Only what they say in X-Forwarded-For and X-Forwarded-Proto is believed. Without any, an address is the one that connects.'
    )
  ),
  CORS_ORIGINS: optional(
    text(
      'Origins whose pages may call the API from a browser, separated by commas: `https://console.example.com`.',
      {
        pattern: ORIGIN_LIST
      }
    )
  ),
  RATE_LIMIT_MAX: Type.Integer({
    description:
      'How many requests a caller may send in a window, and an address that is refused or needs no token; 0 is no limit.',
    minimum: 0,
    maximum: 1_000_000,
    default: 0
  }),
  RATE_LIMIT_WINDOW_SECONDS: Type.Integer({
    description: 'The length of that window, in seconds.',
    minimum: 1,
    maximum: 3600,
    default: 60
  }),
  RATE_LIMIT_EXEMPT_ROLES: text(
    'Roles that are not limited so, separated by commas; `none` for none.',
    { default: 'switch' }
  ),

  SHUTDOWN_DRAIN_SECONDS: Type.Integer({
    description:
      'How long the service still answers, as not ready, after it was told to stop, so that nobody sends it new requests.',
    minimum: 0,
    maximum: 8,
    default: 1
  }),

  JWT_SECRET: optional(
    text(
      'Secret that tokens are signed with (HS256), at least 32 bytes, the one the web console and the switch use. ' +
        'Outside production, without one, a secret is made for the run.'
    )
  ),
  JWT_SECRET_PREVIOUS: optional(
    text('The secret before JWT_SECRET, accepted as well while it is being changed.')
  ),
  JWT_ISSUER: optional(text('Issuer (`iss`) that tokens signed with JWT_SECRET must name.')),
  JWT_AUDIENCE: optional(text('Audience (`aud`) that tokens signed with JWT_SECRET must name.')),
  JWT_PUBLIC_KEYS: optional(
    text(
      'PEM file: public keys of the identity provider (RSA for RS256 and PS256, P-256 for ES256, ' +
        'Ed25519 for EdDSA).'
    )
  ),
  JWT_JWKS_URL: optional(
    text('Where the identity provider publishes its keys as a JWK Set; `https://` in production.', {
      pattern: '^https?://'
    })
  ),
  JWT_PROVIDER_ISSUER: optional(
    text('Issuer (`iss`) that tokens of the identity provider must name.')
  ),
  JWT_PROVIDER_AUDIENCE: optional(
    text('Audience (`aud`) that tokens of the identity provider must name.')
  ),
  JWT_CLOCK_TOLERANCE_SECONDS: Type.Integer({
    description: 'How far the clock of an issuer may be off, in seconds.',
    minimum: 0,
    maximum: 60,
    default: 5
  }),
  BIND_NODES: flag(
    'Whether a token with a `node` claim may change sessions of that switch node only.',
    false
  ),
  ADMIN_USERNAME: optional(text('Who may log in by password; needs ADMIN_PASSWORD_HASH.')),
  ADMIN_PASSWORD_HASH: optional(
    text('scrypt hash as `npm run hash-password` prints it.', { pattern: '^\\$scrypt\\$' })
  ),
  LOGIN_TOKEN_SECONDS: Type.Integer({
    description: 'How long a token from a login is valid, in seconds.',
    minimum: 60,
    maximum: 86_400,
    default: 3600
  })
})

export type Settings = Static<typeof SettingsSchema>
