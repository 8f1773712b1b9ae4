/** The settings for tokens and logins. */
import { Type } from '@sinclair/typebox'
import { flag, optional, text } from './setting-forms.ts'

/** The shortest secret that HS256 may be used with, in bytes (RFC 7518, 3.2). */
export const MIN_SECRET_BYTES = 32

export const authSettings = {
  JWT_SECRET: optional(
    text(
      'The secret that tokens are signed with (HS256), at least 32 bytes, as ' +
        '`openssl rand -base64 48` makes it. ' +
        'Use the secret of the web console and the switch. ' +
        'Outside production, if it is not set, a random secret is made for each run.'
    )
  ),
  JWT_SECRET_PREVIOUS: optional(
    text('The secret that JWT_SECRET replaces. Both are accepted while you change it.')
  ),
  JWT_ISSUER: optional(text('The issuer (`iss`) that tokens signed with JWT_SECRET must name.')),
  JWT_AUDIENCE: optional(
    text('The audience (`aud`) that tokens signed with JWT_SECRET must name.')
  ),
  JWT_PUBLIC_KEYS: optional(
    text(
      'A PEM file with public keys of the identity provider ' +
        '(RSA for RS256 and PS256, P-256 for ES256, Ed25519 for EdDSA).'
    )
  ),
  JWT_JWKS_URL: optional(
    text(
      "The URL of the identity provider's JWK Set. It must begin with `https://` in production.",
      {
        pattern: '^https?://',
        title: 'a URL that begins with https:// or http://',
        examples: ['https://idp.example.com/.well-known/jwks.json']
      }
    )
  ),
  JWT_PROVIDER_ISSUER: optional(
    text('The issuer (`iss`) that tokens of the identity provider must name.')
  ),
  JWT_PROVIDER_AUDIENCE: optional(
    text('The audience (`aud`) that tokens of the identity provider must name.')
  ),
  JWT_CLOCK_TOLERANCE_SECONDS: Type.Integer({
    description: "How far an issuer's clock may differ from ours, in seconds.",
    minimum: 0,
    maximum: 60,
    default: 5
  }),
  JWT_ROLE_CLAIMS: optional(
    text(
      'Further claims that name roles, separated by commas: `realm_access.roles` for Keycloak, ' +
        '`https://example.com/roles` for a namespaced claim. ' +
        'The claims `role` and `roles` are always read.'
    )
  ),
  BIND_NODES: flag(
    'Whether a token with a `node` claim may change only the sessions of that switch node.',
    false
  ),
  API_KEYS_FILE: text('The file that keeps the API keys if no Redis is configured.', {
    default: 'api-keys.json'
  }),
  ADMIN_USERNAME: optional(
    text('The name of the administrator who may log in by password. Needs ADMIN_PASSWORD_HASH.')
  ),
  ADMIN_PASSWORD_HASH: optional(
    text("The administrator's password as a scrypt hash, from `npm run hash-password`.", {
      pattern: '^\\$scrypt\\$',
      title: 'a hash from `npm run hash-password`'
    })
  ),
  LOGIN_TOKEN_SECONDS: Type.Integer({
    description: 'How long a token from a login is valid, in seconds.',
    minimum: 60,
    maximum: 86_400,
    default: 3600
  })
}
