/** Callers at addresses of their own. */
import type { FastifyInstance, InjectOptions } from 'fastify'
import { type Answer, type Claims, tokenFor } from '../helpers/app.ts'

const alice = '/api/sessions/limits/alice'

/** Asks from an address, with claims or without a token. */
export function from (
  app: FastifyInstance,
  remoteAddress: string,
  claims: Claims | null,
  headers: Record<string, string> = {}
) {
  const authorization = claims === null ? {} : { authorization: `Bearer ${tokenFor(app, claims)}` }
  return async (url = alice, method: InjectOptions['method'] = 'GET') => {
    const {
      statusCode: status,
      headers: answered,
      body
    } = await app.inject({
      method: method ?? 'GET',
      url,
      remoteAddress,
      headers: { ...authorization, ...headers }
    })
    return { status, headers: answered as Answer['headers'], body }
  }
}
