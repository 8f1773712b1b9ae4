/**
 * Reads X-Forwarded-For where proxies are trusted: an address counts without the port that some
 * proxies write behind it, and what is no address ends the list, so that nobody is known by a text.
 */
import { isIP } from 'node:net'
import fp from 'fastify-plugin'

const HEADER = 'x-forwarded-for'

export default fp(
  async (app) => {
    if (app.config.TRUSTED_PROXIES === undefined) return
    app.addHook('onRequest', (request, _reply, done) => {
      const given = request.raw.headers[HEADER]
      if (given !== undefined) request.raw.headers[HEADER] = addressesOf(String(given))
      done()
    })
  },
  { name: 'forwarded-for', dependencies: ['config'] }
)

/** The addresses at the end of a list, up to the first entry from the right that is none. */
function addressesOf (list: string): string {
  const addresses: string[] = []
  for (const entry of list.split(',').reverse()) {
    const address = withoutPort(entry.trim())
    if (isIP(address) === 0) break
    addresses.unshift(address)
  }
  return addresses.join(', ')
}

/** `192.0.2.1:4711` and `[2001:db8::1]:4711` without their ports. */
function withoutPort (entry: string): string {
  const [, inBrackets, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(entry) ?? []
  return inBrackets ?? plain ?? entry
}
