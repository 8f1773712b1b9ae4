/**
 * Secrets that anybody can read: those of Voice Ferry's own files, and placeholders that examples,
 * deployment files and tutorials are made of.
 */

/** As Voice Ferry's examples, compose files, manifests, charts and fallbacks in code have them. */
const PUBLISHED = [
  'voice-ferry-secret-key-change-in-production',
  'voice-ferry-session-secret-change-in-production',
  'voice-ferry-admin-token',
  'your-super-secret-jwt-key-change-in-production-minimum-32-chars',
  'your-super-secret-session-key-change-in-production-minimum-32-chars',
  'your-production-jwt-secret-here',
  'your-production-session-secret-here',
  'your-production-jwt-secret-change-this',
  'your-production-session-secret-change-this',
  'your-secret-key-here-change-me-in-production',
  'your-secret-key-here',
  'your-secret-key-change-this-in-production',
  'your-secret-key-change-in-production',
  'your-secret-key-change-this',
  'your-secure-256-bit-jwt-signing-key-here',
  'your-256-bit-secret-key-here',
  'your-256-bit-secret-key',
  'your-secure-jwt-key-here',
  'your-secure-jwt-secret',
  'your-secure-session-secret',
  'your-strong-random-key-here',
  'your-strong-webrtc-jwt-secret',
  'your-jwt-secret',
  'your-signing-key',
  'dev-jwt-secret-not-for-production',
  'change-this-password-in-production',
  'change-me-in-production',
  'redis-production-password'
]

/** With blanks, case and punctuation taken away, as people vary them. */
const PLAIN_PUBLISHED = PUBLISHED.map(plain)

/** What placeholders say of themselves. */
const PLACEHOLDER =
  /^(?:your|secret|supersecret|changeme|password|default|insert|example)|changeme|change(?:this|it|in|before|for)|replace(?:me|this|with)|(?:super|jwt|my|own)secret|secretkey|placeholder|notforproduction|donotuse|fillmein|(?:for|only)thetests/

/** Whether a secret is published, as it is, with other punctuation, in base64, or several times. */
export function isPublishedSecret (secret: string): boolean {
  return [secret, Buffer.from(secret, 'base64').toString()].some((one) => {
    const text = plain(one)
    if (text === '') return false
    return PLACEHOLDER.test(text) || PLAIN_PUBLISHED.some((known) => text.includes(known))
  })
}

function plain (text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '')
}
