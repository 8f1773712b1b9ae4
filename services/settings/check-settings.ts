/** Checks what no setting says alone: settings that need, or contradict, each other. */
import { BlockList, isIP } from 'node:net'
import type { Settings } from '../../schemas/settings.ts'
import { ROLES } from '../auth/permissions.ts'
import { commaList } from '../util/comma-list.ts'
import { whatItMayBe, wrong } from './config-error.ts'
import { checkTokenSettings } from './token-settings.ts'

/** Settings that only work together. */
const PAIRS = [
  ['ADMIN_USERNAME', 'ADMIN_PASSWORD_HASH'],
  ['REDIS_TLS_CERT', 'REDIS_TLS_KEY'],
  ['ETCD_TLS_CERT', 'ETCD_TLS_KEY'],
  ['ETCD_USERNAME', 'ETCD_PASSWORD']
] as const

const TLS_FILES = ['CA', 'CERT', 'KEY'] as const

/** The first and the last address of all IPv4 addresses, and of all IPv6 addresses. */
const EVERYBODY = [
  ['::ffff:0.0.0.0', '::ffff:255.255.255.255'],
  ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']
]

/** @throws ConfigError for the first setting that does not fit the others */
export function checkSettings (settings: Settings): void {
  checkTokenSettings(settings)
  for (const [one, other] of PAIRS) {
    if (settings[one] !== undefined && settings[other] === undefined) {
      throw wrong(other, `must be set because ${one} is set`)
    }
    if (settings[other] !== undefined && settings[one] === undefined) {
      throw wrong(one, `must be set because ${other} is set`)
    }
  }
  checkProxies(settings)
  checkRedis(settings)
  checkEtcd(settings)
  const roles = commaList(settings.RATE_LIMIT_EXEMPT_ROLES)
  if (!roles.every((role) => role === 'none' || ROLES.has(role))) {
    throw wrong(
      'RATE_LIMIT_EXEMPT_ROLES',
      whatItMayBe('RATE_LIMIT_EXEMPT_ROLES'),
      settings.RATE_LIMIT_EXEMPT_ROLES
    )
  }
}

function checkProxies ({ TRUSTED_PROXIES: proxies }: Settings): void {
  for (const one of commaList(proxies)) {
    const [, address = '', bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(one) ?? []
    const version = isIP(address)
    const most = version === 4 ? 32 : 128
    if (version === 0 || Number(bits ?? most) > most) {
      throw wrong('TRUSTED_PROXIES', whatItMayBe('TRUSTED_PROXIES'), proxies)
    }
    if (isEverybody(address, Number(bits ?? most), version === 4 ? 'ipv4' : 'ipv6')) {
      throw wrong('TRUSTED_PROXIES', `must not be everybody: ${one} would let any caller say ` +
        'which address it comes from')
    }
  }
}

/** Whether a network has all IPv4 addresses, as they are or in IPv6 (RFC 4291, 2.5.5.2), or all. */
function isEverybody (address: string, bits: number, family: 'ipv4' | 'ipv6'): boolean {
  const network = new BlockList()
  network.addSubnet(address, bits, family)
  return EVERYBODY.some((ends) => ends.every((end) => network.check(end, 'ipv6')))
}

function checkRedis (settings: Settings): void {
  const { REDIS_CLUSTER_NODES: nodes, REDIS_SENTINELS: sentinels, REDIS_HOST: host } = settings
  const { REDIS_URL: url, REDIS_KEY_PREFIX: prefix } = settings
  if (url !== undefined && !isRedisUrl(url)) {
    throw wrong('REDIS_URL', 'must be a URL, with a % in its user or password written as %25')
  }
  const isPlainUrl = url !== undefined && !url.startsWith('rediss:')
  if (settings.REDIS_TLS && isPlainUrl) {
    throw wrong('REDIS_URL', 'must begin with rediss:// because REDIS_TLS is true')
  }
  const isSecured = url === undefined ? settings.REDIS_TLS : !isPlainUrl
  const file = TLS_FILES.map((part) => `REDIS_TLS_${part}` as const).find((one) => settings[one])
  if (file !== undefined && !isSecured) {
    throw wrong(
      file,
      'needs TLS, or passwords would go to Redis in clear: set REDIS_TLS=true, or a REDIS_URL ' +
        'that begins with rediss://'
    )
  }
  if (nodes !== undefined && /^[^{]*\{(?:[^}]*$|\})/.test(prefix)) {
    throw wrong(
      'REDIS_KEY_PREFIX',
      'must not open a brace in a Cluster, where braces say which node has a key',
      prefix
    )
  }
  if (settings.NODE_ENV !== 'production' || settings.MOCK_SESSION_LIMITS) return
  if ((nodes ?? sentinels ?? url ?? host) === undefined) {
    throw wrong(
      'REDIS_URL',
      'must be set in production, or REDIS_HOST, REDIS_SENTINELS or REDIS_CLUSTER_NODES: without ' +
        'Redis each replica keeps limits of its own, and forgets them. MOCK_SESSION_LIMITS=true ' +
        'means that'
    )
  }
}

/** Whether a text is a URL whose parts can be decoded. */
function isRedisUrl (text: string): boolean {
  try {
    const { username, password, pathname } = new URL(text)
    return [username, password, pathname].every((part) => decodeURIComponent(part) !== undefined)
  } catch {
    return false
  }
}

function checkEtcd (settings: Settings): void {
  const endpoints = commaList(settings.ETCD_ENDPOINTS)
  const file = TLS_FILES.map((part) => `ETCD_TLS_${part}` as const).find((one) => settings[one])
  if (!endpoints.every((one) => URL.canParse(one))) {
    throw wrong('ETCD_ENDPOINTS', whatItMayBe('ETCD_ENDPOINTS'))
  }
  if (file !== undefined && !endpoints.every((one) => one.startsWith('https:'))) {
    throw wrong('ETCD_ENDPOINTS', `must all begin with https:// because ${file} is set`)
  }
}
