/**
 * Every setting: its name, form, default and meaning. `.env.example` and docs/settings.md are
 * generated from here.
 */
import { Type, type Static } from '@sinclair/typebox'
import { authSettings } from './auth-settings.ts'
import { stringEnum } from './names.ts'
import { SESSION_LIMIT_ACTIONS } from './policy.ts'
import { redisSettings } from './redis-settings.ts'
import { ORIGIN_LIST, URL_LIST, flag, optional, text } from './setting-forms.ts'

const processSettings = {
  NODE_ENV: stringEnum(['development', 'test', 'production'], {
    description:
      'With `production`, the service refuses to start with secrets that can be guessed, without ' +
      'the issuer and audience of an identity provider, and without Redis.',
    default: 'development'
  }),
  HOST: optional(
    text(
      'The address to listen on. Without it that is 0.0.0.0, or 127.0.0.1 in a run that prints a ' +
        'token because it has no JWT_SECRET.',
      { examples: ['0.0.0.0'] }
    )
  ),
  PORT: Type.Integer({
    description: 'The port to listen on. 0 takes any free port.',
    minimum: 0,
    maximum: 65535,
    default: 3001
  }),
  LOG_LEVEL: stringEnum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    description: 'The lowest severity that is logged.',
    default: 'info'
  })
}

const limitSettings = {
  OUTAGE_MODE: stringEnum(['local', 'deny', 'allow'], {
    description:
      'How to admit sessions while Redis is away: `local` decides by what this replica knows, ' +
      '`deny` refuses all but emergency calls with 503, `allow` admits everything.',
    default: 'local'
  }),

  ENABLE_SESSION_LIMITS: flag(
    'Whether limits are enforced. Used until a policy is stored.',
    true
  ),
  MAX_SESSIONS_PER_USER: Type.Integer({
    description:
      'The limit for users without their own; 0 means unlimited. Used until a policy is stored.',
    minimum: 0,
    maximum: 1_000_000,
    default: 5
  }),
  SESSION_LIMIT_ACTION: stringEnum(SESSION_LIMIT_ACTIONS, {
    description: 'What happens when a user is at the limit. Used until a policy is stored.',
    default: 'reject'
  }),
  SIP_REJECT_STATUS: Type.Integer({
    description: 'The SIP status that a refusal suggests to the switch.',
    minimum: 400,
    maximum: 699,
    default: 486
  }),
  SIP_REJECT_REASON: text('The SIP reason phrase that a refusal suggests to the switch.', {
    default: 'Busy Here',
    maxLength: 128
  }),
  GHOST_SWEEP_INTERVAL_SECONDS: Type.Integer({
    description:
      'The time between two sweeps for ghosts, in seconds. ' +
      'With 0, only `POST /api/sessions/sweep` sweeps.',
    minimum: 0,
    maximum: 86_400,
    default: 30
  })
}

const etcdSettings = {
  ETCD_ENDPOINTS: optional(
    text('The URLs of etcd, separated by commas: `http://etcd-0:2379,http://etcd-1:2379`.', {
      pattern: URL_LIST,
      title: 'URLs that begin with http:// or https://, separated by commas',
      examples: ['http://etcd-0:2379,http://etcd-1:2379']
    })
  ),
  ETCD_USERNAME: optional(text('The user to log in to etcd as.')),
  ETCD_PASSWORD: optional(text('The password for etcd.')),
  ETCD_TLS_CA: optional(
    text("A PEM file with the certificate authority that signed etcd's certificate.")
  ),
  ETCD_TLS_CERT: optional(text('A PEM file with the client certificate to show to etcd.')),
  ETCD_TLS_KEY: optional(text('A PEM file with the key of that client certificate.')),
  ETCD_POLICY_KEY: optional(
    text(
      'The etcd key that holds the policy as JSON; Voice Ferry uses ' +
        '`/voice-ferry-c4/config/session-limits`. If set, the policy is kept in etcd.'
    )
  ),
  ETCD_REQUIRED: flag('Whether the service reports not ready while etcd is away.', false)
}

const requestSettings = {
  TRUSTED_PROXIES: optional(
    text(
      'The addresses or networks of the proxies in front, separated by commas: ' +
        '`10.0.0.7,10.1.0.0/16`. Only these may set X-Forwarded-For and X-Forwarded-Proto. ' +
        'Without any, a client is identified by the address that it connects from.',
      {
        title: 'IP addresses or networks, separated by commas',
        examples: ['10.0.0.7,10.1.0.0/16']
      }
    )
  ),
  CORS_ORIGINS: optional(
    text(
      'The origins whose pages may call the API from a browser, separated by commas: ' +
        '`https://console.example.com`.',
      {
        pattern: ORIGIN_LIST,
        title: 'origins without a path, separated by commas',
        examples: ['https://console.example.com']
      }
    )
  ),
  RATE_LIMIT_MAX: Type.Integer({
    description:
      'How many requests one caller may send in a window. Requests that are refused or need no ' +
      'token count against the address. 0 means no limit.',
    minimum: 0,
    maximum: 1_000_000,
    default: 0
  }),
  RATE_LIMIT_WINDOW_SECONDS: Type.Integer({
    description: 'The length of the rate limit window, in seconds.',
    minimum: 1,
    maximum: 3600,
    default: 60
  }),
  RATE_LIMIT_EXEMPT_ROLES: text(
    'The roles that the rate limit does not apply to, separated by commas; `none` for none.',
    {
      default: 'switch',
      title: 'roles out of admin, operator, switch and viewer, separated by commas, or none'
    }
  ),

  SHUTDOWN_DRAIN_SECONDS: Type.Integer({
    description:
      'How long the service reports not ready and still answers after it is told to stop, ' +
      'so that load balancers stop sending requests first.',
    minimum: 0,
    maximum: 8,
    default: 1
  })
}

export const SettingsSchema = Type.Object({
  ...processSettings,
  ...redisSettings,
  ...limitSettings,
  ...etcdSettings,
  ...requestSettings,
  ...authSettings
})

export type Settings = Static<typeof SettingsSchema>
