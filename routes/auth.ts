/** The login by name and password. It exists only if ADMIN_USERNAME is set. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { LoggedInSchema, LoginSchema } from '../schemas/auth.ts'
import { ref } from '../schemas/components.ts'
import { problems } from '../schemas/problem.ts'
import { verifyPassword } from '../services/auth/password.ts'
import { ServiceError } from '../services/errors.ts'

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const {
    ADMIN_USERNAME: admin,
    ADMIN_PASSWORD_HASH: passwordHash,
    LOGIN_TOKEN_SECONDS: expiresIn
  } = app.config
  if (admin === undefined || passwordHash === undefined) return

  app.post(
    '/api/auth/login',
    {
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
    async ({ body: { username, password } }) => {
      // An unknown name takes as long as a wrong password, so the time reveals nothing.
      const matches = await verifyPassword(password, passwordHash)
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
