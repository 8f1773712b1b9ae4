/** The dearest that each kind of caller may do. */

/** A request of an attack, without the head that says who sends it. */
export interface Attack {
  method: string
  path: string
  body?: string
}

/** Who attacks: the claims of its token, null for none. */
export interface Attacker {
  who: string
  claims: Record<string, unknown> | null
  attacks: Attack[]
}

const SESSIONS = '/api/sessions'

const name = (i: number, length: number) => `n${i}`.padEnd(length, 'x')

function longest (count: number, from = 0): object[] {
  return Array.from({ length: count }, (_, i) =>
    ({ session_id: name(from + i, 512), username: name(from + i, 256) }))
}

const get = (path: string): Attack => ({ method: 'GET', path })
const post = (path: string, body?: object): Attack => ({
  method: 'POST',
  path,
  ...(body !== undefined && { body: JSON.stringify(body) })
})
const report = (node: string, sessions: unknown[]): Attack => ({
  method: 'PUT',
  path: `${SESSIONS}/nodes/${node}`,
  body: JSON.stringify({ epoch: 1, ttl: 10, sessions })
})

const reads = [
  get(`${SESSIONS}/users?limit=1`),
  get(`${SESSIONS}/counts`),
  get(`${SESSIONS}/limits`),
  get(`${SESSIONS}/limits?prefix=zz&count=1000`),
  get(`${SESSIONS}/active?count=1000`),
  get(`${SESSIONS}/users/dry?count=1000`)
]

const admissions = [
  report('pbx-1', longest(20_000)),
  report('pbx-2', Array.from({ length: 20_000 }, () => ({ session_id: 'x'.repeat(512) }))),
  post(`${SESSIONS}/renew`, { sessions: longest(5_000, 20_000), ttl: 10 }),
  post(`${SESSIONS}/release`, { sessions: longest(5_000, 20_000) }),
  { method: 'DELETE', path: `${SESSIONS}/nodes/pbx-1` },
  post(SESSIONS, { username: 'dry', session_id: 'room', dry_run: true }),
  post(SESSIONS, Object.fromEntries(Array.from({ length: 6_000 }, (_, i) => [`m${i}`, 1]))),
  post(`${SESSIONS}/sweep`)
]

const changes = [
  post(`${SESSIONS}/limits/bulk`, {
    limits: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [name(i, 256), i]))
  }),
  { method: 'DELETE', path: `${SESSIONS}/users/dry/sessions` }
]

/** Each kind of caller. */
export const ATTACKERS: Attacker[] = [
  {
    who: 'no token',
    claims: null,
    attacks: [
      post('/api/auth/login', { username: 'x'.repeat(128), password: 'x'.repeat(1024) }),
      post('/api/auth/login', Object.fromEntries(
        Array.from({ length: 700 }, (_, i) => [`m${i}`, 1])
      )),
      get('/openapi.json'),
      get('/docs/'),
      report('pbx-1', longest(5_000)),
      get(`${SESSIONS}/limits/${'x'.repeat(2_000)}`)
    ]
  },
  {
    who: 'a user, for itself',
    claims: { sub: 'dry' },
    attacks: [
      get(`${SESSIONS}/users/dry?count=1000`),
      get(`${SESSIONS}/counts/dry`),
      get(`${SESSIONS}/active?username=dry&count=1000`)
    ]
  },
  { who: 'a viewer', claims: { sub: 'v', role: 'viewer' }, attacks: reads },
  {
    who: 'a switch',
    claims: { sub: 's', role: 'switch' },
    attacks: [...admissions, ...reads]
  },
  {
    who: 'an operator',
    claims: { sub: 'o', role: 'operator' },
    attacks: [...changes, ...admissions, ...reads]
  },
  {
    who: 'an administrator',
    claims: { sub: 'a', role: 'admin' },
    attacks: [
      ...changes,
      post('/api/auth/api-keys', { name: 'key', role: 'viewer' }),
      get('/api/auth/api-keys'),
      ...admissions
    ]
  }
]
