/** Prints a token and first requests on a run without JWT_SECRET, which production never is. */
import type { FastifyInstance } from 'fastify'

/** Prints a token, signed with the secret of this run, and commands that use it. */
export function printWelcome (app: FastifyInstance): void {
  const token = app.jwt.sign({ sub: 'first-run', role: 'admin' }, { expiresIn: '12h' })
  const [address] = app.addresses()
  const base = `http://localhost:${typeof address === 'object' ? address.port : app.config.PORT}`
  const put =
    'curl -X PUT -H "Authorization: Bearer $TOKEN" -H \'Content-Type: application/json\''
  console.log(`
JWT_SECRET is not set, so this run uses a random secret. An administrator token for 12 hours:

  export TOKEN=${token}

A first session:

  curl ${base}/healthz/ready
  ${put} -d '{"limit":25}' ${base}/api/sessions/limits/alice
  curl -H "Authorization: Bearer $TOKEN" ${base}/api/sessions/limits

All requests: ${base}/docs
`)
}
