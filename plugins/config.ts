/** The settings, as `app.config`. */
import fp from 'fastify-plugin'
import type { Settings } from '../schemas/settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    config: Settings
  }
}

export default fp<{ config: Settings }>(
  async (app, { config }) => {
    app.decorate('config', config)
  },
  { name: 'config' }
)
