/**
 * Secrets that anybody can read: those of Voice Ferry's own files, of standards, and placeholders
 * that examples, deployment files and tutorials are made of.
 */
import { getHashes, hash } from 'node:crypto'
import { WORDS } from './secret-strength.ts'

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
  'redis-production-password',
  // The examples of https://jwt.io.
  'a-string-secret-at-least-256-bits-long',
  'a-valid-string-secret-that-is-at-least',
  // A tutorial of Spring Boot that very many programs were copied from, and what its key encodes.
  '404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970',
  '@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkYp',
  // What an earlier version of this file had for the key of RFC 7515, with two slips.
  'AyM1SysPpbyDfZld3umj1qzKObwVMQoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'
]

/** Keys of standards in base64: RFC 7515, A.1; RFC 7517, A.3; RFC 7520, 3.5 and 3.6. */
const PUBLISHED_KEYS = [
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
  'GawgguFyGrWKav7AX4VKUg',
  'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg',
  'AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8'
]

/** Hashes of one word are as well known as the word. */
const HASHES = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'].filter((name) =>
  getHashes().includes(name))
const MORE_WORDS =
  `123456 12345678 123456789 admin123 asterisk change-me changeme foo freeswitch jwt jwt-secret
  jwt_secret jwtsecret kamailio key mysecret my-secret opensips passw0rd password1 password123
  qwerty secret-key secret1 secret123 secret_key secretkey session-limits sip supersecret
  voice-ferry voice-ferry-c4 voice_ferry voiceferry voip
  your-256-bit-secret your-secret-key`.split(/\s+/)
/** The bytes of keys of standards and of hashes of words, in hexadecimal. */
let knownBytes: Set<string> | undefined

/** With blanks, case and punctuation taken away, as people vary them. */
const PLAIN_PUBLISHED = [...PUBLISHED, ...PUBLISHED_KEYS].map(plain)

/** What placeholders say of themselves. */
const PLACEHOLDER =
  /^(?:your|secret|supersecret|changeme|password|default|insert|example)|changeme|change(?:this|it|in|before|for)|replace(?:me|this|with)|(?:super|jwt|my|own)secret|secretkey|placeholder|notforproduction|donotuse|fillmein|(?:for|only)thetests/

/**
 * Whether a secret is published, as it is, with other punctuation, in base64 or hexadecimal, or
 * several times; or is the hash of a common word.
 */
export function isPublishedSecret (secret: string): boolean {
  const bytes = Buffer.from(secret, /^[0-9a-f]+$/i.test(secret) ? 'hex' : 'base64')
  knownBytes ??= new Set([
    ...PUBLISHED_KEYS.map((key) => Buffer.from(key, 'base64').toString('hex')),
    ...['', ...WORDS, ...MORE_WORDS, ...PUBLISHED].flatMap(hashesOf)
  ])
  if (knownBytes.has(bytes.toString('hex'))) return true
  return [secret, bytes.toString()].some((one) => {
    const text = plain(one)
    if (text === '') return false
    return PLACEHOLDER.test(text) || PLAIN_PUBLISHED.some((known) => text.includes(known))
  })
}

/** The hashes of a word as people write it, and as `echo` prints it. */
function hashesOf (word: string): string[] {
  const forms = [word, word.toUpperCase(), word.replace(/^./, (letter) => letter.toUpperCase())]
  const texts = forms.flatMap((form) => [form, `${form}\n`])
  return texts.flatMap((text) => HASHES.map((name) => hash(name, text)))
}

function plain (text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, '')
}
