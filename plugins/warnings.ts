/** What an operator has to mend, as `app.warnings`: whatever notices something raises it there. */
import fp from 'fastify-plugin'
import { Warnings } from '../services/health/warnings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    warnings: Warnings
  }
}

export default fp(
  async (app) => {
    app.decorate('warnings', new Warnings(app.log))
  },
  { name: 'warnings' }
)
