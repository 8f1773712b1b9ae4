/**
 * What a first run prints: a token and requests that work as printed. Never in production, where a
 * secret is set.
 */
import type { FastifyInstance } from 'fastify'

/** Prints a token of the run's own secret, and first requests with it. */
export function printWelcome (app: FastifyInstance): void {
  const token = app.jwt.sign({ sub: 'first-run', role: 'admin' }, { expiresIn: '12h' })
  const [address] = app.addresses()
  const base = `http://localhost:${typeof address === 'object' ? address.port : app.config.PORT}`
  const put =
    'curl -X PUT -H "Authorization: Bearer $TOKEN" -H \'Content-Type: application/json\''
  console.log(`
No JWT_SECRET is set, so this run made one. This administrator's token is valid for 12 hours:

  export TOKEN=${token}

A first session:

  curl ${base}/healthz/ready
  ${put} -d '{"limit":25}' ${base}/api/sessions/limits/alice
  curl -H "Authorization: Bearer $TOKEN" ${base}/api/sessions/limits

Everything else: ${base}/docs
`)
}
