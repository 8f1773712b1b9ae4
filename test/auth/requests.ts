/** Requests with tokens, good and forged, and the routes that need one. */
import { createHmac } from 'node:crypto'
import type { Test } from 'tap'
import { ACCESS } from '../../services/auth/access-table.ts'
import { type Answer, TEST_SECRET } from '../helpers/app.ts'

export const alice = '/api/sessions/limits/alice'

/** The routes that need a token, with a path that matches their pattern. */
export const guarded = Object.entries(ACCESS).flatMap(([route, access]) => {
  const [method = '', pattern = ''] = route.split(' ')
  return access === 'public'
    ? []
    : [{ route, method, path: pattern.replace(/:\w+/g, 'alice'), access }]
})

/** Asks over the wire for the status only, so that a stream that never ends is no trouble. */
export async function statusOf (
  base: string,
  method: string,
  path: string,
  headers: Record<string, string> = {}
): Promise<number> {
  const done = new AbortController()
  const body = ['POST', 'PUT', 'PATCH'].includes(method) ? { body: '{}' } : {}
  const response = await fetch(base + path, {
    method,
    headers: { ...('body' in body && { 'content-type': 'application/json' }), ...headers },
    ...body,
    signal: done.signal,
    redirect: 'manual'
  })
  done.abort()
  return response.status
}

export function bearer (token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

/**
 * A token made by hand, as an attacker would; valid for an hour unless its claims say otherwise.
 */
export function forged (
  header: unknown,
  payload: unknown,
  secret = TEST_SECRET,
  hash = 'sha256'
): string {
  const part = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 3600
  const claims = typeof payload === 'object' ? { exp, ...payload } : payload
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`
}

export function isUnauthorized (t: Test, { status, headers, body }: Answer, what: string): void {
  t.match(
    { status, headers, body },
    {
      status: 401,
      headers: { 'www-authenticate': 'Bearer', 'content-type': /^application\/problem\+json/ },
      body: { status: 401, code: 'unauthorized' }
    },
    what
  )
}
