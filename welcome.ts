/** Prints a token and first requests on a run without JWT_SECRET, which production never is. */
import type { FastifyInstance } from 'fastify'

/** A request as the README makes it: the status and a line break come after the answer. */
const REQUEST =
  "request () { curl -s -w ' %{http_code}\\n' -H \"Authorization: Bearer $TOKEN\" " +
  "-H 'Content-Type: application/json' \"$@\"; }"

/** Prints a token, signed with the secret of this run, and commands that use it. */
export function printWelcome (app: FastifyInstance): void {
  const token = app.jwt.sign({ sub: 'first-run', role: 'admin' }, { expiresIn: '12h' })
  const [address] = app.addresses()
  const port = typeof address === 'object' ? address.port : app.config.PORT
  console.log(welcome(token, `http://localhost:${port}`))
}

/** @param base - where the service listens */
export function welcome (token: string, base: string): string {
  return `
JWT_SECRET is not set, so this run uses a random secret. An administrator token for 12 hours:

  export TOKEN=${token}

A first session, as README.md explains it:

  api=${base}/api/sessions
  ${REQUEST}
  request -X PUT $api/limits/alice -d '{"limit":1}'
  request $api -d '{"username":"alice","session_id":"call-1"}'
  request $api -d '{"username":"alice","session_id":"call-2"}'
  request -X DELETE $api/call-1

All requests: ${base}/docs
`
}
