/** Checks the settings of tokens: secrets that can be guessed, and providers that nobody names. */
import { MIN_SECRET_BYTES } from '../../schemas/auth-settings.ts'
import type { Settings } from '../../schemas/settings.ts'
import { isPasswordHash } from '../auth/password.ts'
import { wrong } from './config-error.ts'
import { isPublishedSecret } from './published-secrets.ts'
import { MIN_SECRET_BITS, secretBits } from './secret-strength.ts'

/** How to make a secret. */
const MAKE_ONE = 'make one with `openssl rand -base64 48`'

/** @throws ConfigError for the first setting of tokens that does not fit the others */
export function checkTokenSettings (settings: Settings): void {
  const { JWT_SECRET, JWT_SECRET_PREVIOUS, ADMIN_USERNAME, ADMIN_PASSWORD_HASH } = settings
  const isProduction = settings.NODE_ENV === 'production'
  const hasProvider = (settings.JWT_PUBLIC_KEYS ?? settings.JWT_JWKS_URL) !== undefined
  if (JWT_SECRET === undefined) {
    if (JWT_SECRET_PREVIOUS !== undefined) {
      throw wrong('JWT_SECRET', 'must be set because JWT_SECRET_PREVIOUS is set')
    }
    if (isProduction && !hasProvider) {
      throw wrong(
        'JWT_SECRET',
        `must be set in production, unless JWT_PUBLIC_KEYS or JWT_JWKS_URL is set; ${MAKE_ONE}`
      )
    }
    if (isProduction && ADMIN_USERNAME !== undefined) {
      throw wrong('JWT_SECRET', 'must be set in production because ADMIN_USERNAME is set')
    }
  }
  checkSecret('JWT_SECRET', settings)
  checkSecret('JWT_SECRET_PREVIOUS', settings)
  checkProvider(settings, hasProvider)
  checkJwksUrl(settings.JWT_JWKS_URL, isProduction)
  if (ADMIN_PASSWORD_HASH !== undefined && !isPasswordHash(ADMIN_PASSWORD_HASH)) {
    throw wrong('ADMIN_PASSWORD_HASH', 'must be a hash from `npm run hash-password`')
  }
}

function checkSecret (name: 'JWT_SECRET' | 'JWT_SECRET_PREVIOUS', settings: Settings): void {
  const secret = settings[name]
  if (secret === undefined) return
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw wrong(name, `must have at least ${MIN_SECRET_BYTES} bytes; ${MAKE_ONE}`)
  }
  if (settings.NODE_ENV !== 'production') return
  if (isPublishedSecret(secret)) {
    throw wrong(name, `must not be a well-known default, which anybody can read; ${MAKE_ONE}`)
  }
  if (secretBits(secret) < MIN_SECRET_BITS) {
    throw wrong(name, `must not be easy to guess; ${MAKE_ONE}`)
  }
}

/** Without an issuer and an audience, tokens that a provider made for others would do here, too. */
function checkProvider (settings: Settings, hasProvider: boolean): void {
  for (const name of ['JWT_PROVIDER_ISSUER', 'JWT_PROVIDER_AUDIENCE'] as const) {
    if (settings[name] !== undefined && !hasProvider) {
      throw wrong(name, 'needs JWT_PUBLIC_KEYS or JWT_JWKS_URL')
    }
    if (settings[name] === undefined && hasProvider && settings.NODE_ENV === 'production') {
      throw wrong(
        name,
        'must be set in production beside JWT_PUBLIC_KEYS or JWT_JWKS_URL: otherwise a token ' +
          'that the provider made for another program works here, too'
      )
    }
  }
}

function checkJwksUrl (url: string | undefined, isProduction: boolean): void {
  if (url === undefined) return
  const { protocol, username, password } = URL.canParse(url) ? new URL(url) : {}
  if (protocol === undefined || username !== '' || password !== '') {
    throw wrong('JWT_JWKS_URL', 'must be a URL without a password')
  }
  if (isProduction && protocol !== 'https:') {
    throw wrong('JWT_JWKS_URL', 'must begin with https:// in production')
  }
}
