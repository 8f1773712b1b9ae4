/** The login by name and password. It exists only if ADMIN_USERNAME is set. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { LoggedInSchema, LoginSchema } from '../schemas/auth.ts'
import { ref } from '../schemas/components.ts'
import { problems } from '../schemas/problem.ts'
import { PasswordChecks } from '../services/auth/password-checks.ts'
import { ServiceError } from '../services/errors.ts'

/** Room for the longest name and password, be every character of them escaped. */
const LOGIN_BODY_BYTES = 8 * 1024

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const {
    ADMIN_USERNAME: admin,
    ADMIN_PASSWORD_HASH: passwordHash,
    LOGIN_TOKEN_SECONDS: expiresIn
  } = app.config
  if (admin === undefined || passwordHash === undefined) return
  const passwords = new PasswordChecks()

  app.post(
    '/api/auth/login',
    {
      bodyLimit: LOGIN_BODY_BYTES,
      preHandler: app.throttleLogin,
      schema: {
        operationId: 'login',
        tags: ['auth'],
        security: [],
        summary: 'Log in with a name and a password to get a token',
        body: ref(LoginSchema),
        response: { 200: ref(LoggedInSchema), ...problems(400, 401, 413, 415, 429) }
      }
    },
    async ({ body: { username, password }, raw }) => {
      // An unknown name takes as long as a wrong password, so the time reveals nothing.
      const isGone = () => raw.socket.destroyed
      const matches = await passwords.verify(password, passwordHash, isGone)
      if (!matches || username !== admin) {
        throw new ServiceError('invalid_credentials', 'The name or the password is wrong.')
      }
      const user = { username, role: 'admin' }
      return {
        success: true,
        token: app.jwt.sign({ sub: username, ...user }, { expiresIn }),
        user,
        expiresIn
      }
    }
  )
}

export default routes
