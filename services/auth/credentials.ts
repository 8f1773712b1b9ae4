/** What a request proves its caller by: a token or an API key, in one of the places for them. */

/** A credential as it was sent. */
export type Credential = { apiKey: string } | { authorization: string }

const KEY_AS_BEARER = /^Bearer (vfk_\S*)$/i
const BASIC = /^Basic ((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/i

/**
 * The one credential of a request. An API key may be the value of `X-API-Key`, a bearer token (RFC
 * 6750), or the password of HTTP Basic (RFC 7617), whose user name is ignored.
 * @param rawHeaders - names and values in turn, as Node gives them
 * @returns undefined if there is none or more than one: a proxy and this service must not disagree
 * about who is calling
 */
export function credentialOf (rawHeaders: string[]): Credential | undefined {
  let found: Credential | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const kind = kindOf(rawHeaders[i] ?? '')
    if (kind === undefined) continue
    if (found !== undefined) return undefined
    const value = rawHeaders[i + 1] ?? ''
    found = kind === 'x-api-key' ? { apiKey: value } : inAuthorization(value)
  }
  return found
}

function kindOf (header: string): 'authorization' | 'x-api-key' | undefined {
  if (header.length !== 'authorization'.length && header.length !== 'x-api-key'.length) return
  const name = header.toLowerCase()
  return name === 'authorization' || name === 'x-api-key' ? name : undefined
}

function inAuthorization (value: string): Credential {
  const [, bearer] = KEY_AS_BEARER.exec(value) ?? []
  if (bearer !== undefined) return { apiKey: bearer }
  const [, encoded] = BASIC.exec(value) ?? []
  if (encoded === undefined) return { authorization: value }
  const [, password] = /^[^:]*:([^]*)$/.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  return password === undefined ? { authorization: value } : { apiKey: password }
}
