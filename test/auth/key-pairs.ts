/** Key pairs, and tokens signed with them. */
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { as } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { makePair, type Pair } from '../helpers/tokens.ts'

export const [rsa, otherRsa, ec, ed] = [
  makePair('rsa'),
  makePair('rsa'),
  makePair('ec'),
  makePair('ed25519')
]

export const fits: Array<[alg: string, pair: Pair]> = [
  ['RS256', rsa],
  ['PS256', rsa],
  ['ES256', ec],
  ['EdDSA', ed]
]

export async function statusOf (app: FastifyInstance, token: string): Promise<number> {
  return (
    await as(app, null)('GET', '/api/sessions/limits/alice', undefined, {
      authorization: `Bearer ${token}`
    })
  ).status
}

export function hs256 (header: object, claims: object, secret: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 3600
  const input = `${part({ alg: 'HS256', ...header })}.${part({ exp, ...claims })}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

/** A PEM file of these keys. */
export function pemFile (t: Test, ...pairs: Pair[]): string {
  const path = join(temporaryFolder(t), 'keys.pem')
  writeFileSync(path, pairs.map(({ pem }) => pem).join('\n'))
  return path
}
