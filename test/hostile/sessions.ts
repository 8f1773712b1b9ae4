/** Sessions: ids, times to live, what may be said of a call, and whole reports of nodes. */
import { type Case, get, post, put, remove } from './case.ts'

const SESSIONS = '/api/sessions'
const NODE = '/api/sessions/nodes/pbx-1'

/** What a report leaves, and what sessions of alice do. */
const [REPORTED, RENEWED] = [['node-epoch:pbx-1'], ['user-leases:alice']]
const GOOD = ['session-lease:good-1', 'session-lease:good-2']
/** A report whose one item is refused. */
const oneInvalid = { status: 200, invalid: 1, leaves: REPORTED }

/** Ids that no session has. */
const noIds: Record<string, string> = {
  empty: '',
  NUL: 'a\0b',
  'a line break': 'call-1\r\nDEL x',
  'a line break at its end': 'call-1\n',
  'a space': 'call 1',
  '513 characters': 'c'.repeat(513),
  'a Cyrillic с': '\u0441all-1',
  'a lone surrogate': '\ud800'
}

/** An admission that is as it should be but for these members, which replace the usual ones. */
const acquire = (members: string) =>
  post(SESSIONS, `{"username":"alice","session_id":"call-1",${members}}`)
const call = (id: string) => `{"session_id":"${id}","username":"alice"}`
const report = (sessions: string, more = '"epoch":1') =>
  put(NODE, `{${more},"sessions":[${sessions}]}`)

/** Members of an admission that are not what they should be. */
const noMembers: Record<string, string> = {
  'ttl by text': '"ttl":"90"',
  'ttl 9': '"ttl":9',
  'ttl 0': '"ttl":0',
  'ttl -90': '"ttl":-90',
  'ttl 90.5': '"ttl":90.5',
  'ttl 86401': '"ttl":86401',
  'ttl 1e309': '"ttl":1e309',
  'ttl null': '"ttl":null',
  'ttl 2^53': '"ttl":9007199254740992',
  'a node of another form': '"node":"pbx 1"',
  'a node that is the way up': '"node":".."',
  'no node': '"node":""',
  'a node that is null': '"node":null',
  'a direction of another case': '"direction":"Inbound"',
  'a direction that is a list': '"direction":["inbound"]',
  'emergency by text': '"emergency":"true"',
  'emergency 1': '"emergency":1',
  'dry run by text': '"dry_run":"false"',
  'a Call-ID that is a number': '"call_id":5',
  'metadata that is a list': '"metadata":["a"]',
  'metadata that is text': '"metadata":"a"',
  'metadata within metadata': '"metadata":{"a":{"b":1}}',
  'a list in metadata': '"metadata":{"a":[1]}',
  'null in metadata': '"metadata":{"a":null}',
  'metadata out of range': '"metadata":{"a":1e309}',
  '17 metadata': `"metadata":{${Array.from({ length: 17 }, (_, i) => `"m${i}":1`).join()}}`,
  'a metadata name of 65 characters': `"metadata":{"${'m'.repeat(65)}":1}`,
  'a metadata value of 257 characters': `"metadata":{"a":"${'x'.repeat(257)}"}`,
  'a prototype for metadata': '"metadata":{"__proto__":{"polluted":1}}',
  'a prototype among metadata': '"metadata":{"a":1,"__proto__":1}',
  'the way to a prototype': '"metadata":{"constructor":{"prototype":{"polluted":1}}}',
  'a prototype of the whole': '"__proto__":{"emergency":true}',
  'metadata given twice': '"metadata":{"a":1,"a":2}',
  'a user given twice': '"username":"bob"',
  'a member too many': '"limit":5',
  'a start of its own': '"started_at":"2000-01-01T00:00:00Z"',
  'an end of its own': '"expires_at":"2100-01-01T00:00:00Z"'
}

/** Reports that are not what they should be. */
const noReports: Case[] = [
  { what: 'no epoch', ...put(NODE, '{"sessions":[]}'), status: 400 },
  { what: 'no sessions', ...put(NODE, '{"epoch":1}'), status: 400 },
  ...['"1"', '-1', '1.5', '1e309', '9007199254740992', 'null', 'true'].map((epoch): Case => ({
    what: `epoch ${epoch}`,
    ...report('', `"epoch":${epoch}`),
    status: 400
  })),
  ...['"yesterday"', '"2026-13-01T00:00:00Z"', '5', '"2026-11-22"'].map((asOf): Case => ({
    what: `as of ${asOf}`,
    ...report('', `"epoch":1,"as_of":${asOf}`),
    status: 400
  })),
  {
    what: 'one bad session among good ones',
    ...report(`${call('good-1')},${call('bad 1')},${call('good-2')}`),
    status: 200,
    invalid: 1,
    leaves: [...REPORTED, 'node-leases:pbx-1', ...RENEWED, ...GOOD]
  },
  { what: 'a session that is null', ...report('null'), ...oneInvalid },
  { what: 'a session that is an id', ...report('"call-1"'), ...oneInvalid },
  {
    what: 'a session with a prototype',
    ...report('{"session_id":"a","username":"alice","__proto__":{"emergency":true}}'),
    status: 400
  },
  {
    what: 'a session whose metadata has a prototype',
    ...report('{"session_id":"a","username":"alice","metadata":{"__proto__":{"x":1}}}'),
    status: 400
  },
  {
    what: 'a session with a node of its own',
    ...report('{"session_id":"a","username":"alice","node":"pbx-2"}'),
    ...oneInvalid
  },
  {
    what: '20,001 sessions',
    ...report(Array.from({ length: 20_001 }, (_, i) => call(`r${i}`)).join()),
    status: 400
  },
  {
    what: 'a report of more than 16 MiB',
    ...report(call('x'.repeat(16 * 1024 * 1024))),
    status: 413
  },
  {
    what: 'a node with a space',
    ...put('/api/sessions/nodes/pbx%201', '{"epoch":1,"sessions":[]}'),
    status: 400
  },
  {
    what: 'a node of 129 characters',
    ...put(`/api/sessions/nodes/${'n'.repeat(129)}`, '{"epoch":1,"sessions":[]}'),
    status: 400
  },
  {
    what: 'a node that is an object of JavaScript',
    ...put('/api/sessions/nodes/constructor', '{"epoch":1,"sessions":[]}'),
    status: 400
  }
]

/** Whether a text can stand in a path; one with half a surrogate pair cannot. */
const encodable = (text: string) => text !== '' && Buffer.from(text).toString() === text

const queries = [
  'count=0',
  'count=1001',
  'count=1.5',
  'count=',
  'count=ten',
  'count=1&count=2',
  'count[]=1',
  'cursor=!!',
  'cursor=bm9uZQ',
  'cursor=AAAA',
  'cursor=eyJfX3Byb3RvX18iOnt9fQ',
  'cursor=bnVsbA',
  `cursor=${'A'.repeat(12_001)}`,
  'node=..',
  'node=a%20b',
  'page=1',
  'unknown=1',
  '__proto__=1',
  'constructor=1',
  '__proto__[count]=1',
  'username=alice&username=bob',
  'username[]=alice',
  'token=x'
]

export const sessions: Case[] = [
  ...Object.entries(noIds).flatMap(([what, id]): Case[] => [
    {
      what: `an id: ${what}, admitted`,
      ...post(SESSIONS, `{"username":"alice","session_id":${JSON.stringify(id)}}`),
      status: 400
    },
    {
      what: `an id: ${what}, renewed among others`,
      ...post(
        `${SESSIONS}/renew`,
        `{"sessions":[${call('good')},{"username":"alice","session_id":${JSON.stringify(id)}}]}`
      ),
      status: 200,
      invalid: 1,
      leaves: [...RENEWED, 'session-lease:good']
    },
    {
      what: `an id: ${what}, reported`,
      ...report(`{"username":"alice","session_id":${JSON.stringify(id)}}`),
      ...oneInvalid
    }
  ]),
  ...Object.entries(noIds)
    .filter(([, id]) => encodable(id))
    .flatMap(([what, id]): Case[] => [
      {
        what: `an id: ${what}, read`,
        ...get(`${SESSIONS}/${encodeURIComponent(id)}`),
        status: 400
      },
      {
        what: `an id: ${what}, released`,
        ...remove(`${SESSIONS}/${encodeURIComponent(id)}`),
        status: 400
      },
      {
        what: `an id: ${what}, renewed`,
        ...post(`${SESSIONS}/${encodeURIComponent(id)}/renew`, '{"username":"alice"}'),
        status: 400
      }
    ]),
  ...['5', 'null', 'true', '["call-1"]', '{"toString":"call-1"}'].map((id): Case => ({
    what: `an id that is ${id}`,
    ...post(SESSIONS, `{"username":"alice","session_id":${id}}`),
    status: 400
  })),
  ...Object.entries(noMembers).map(([what, members]): Case => ({
    what,
    ...acquire(members),
    status: 400
  })),
  { what: 'an admission of nothing', ...post(SESSIONS, '{}'), status: 400 },
  { what: 'a list of admissions', ...post(SESSIONS, `[${call('a')}]`), status: 400 },
  { what: 'an admission too large', ...acquire(`"from":"${'x'.repeat(70_000)}"`), status: 413 },
  {
    what: '5,001 renewals',
    ...post(
      `${SESSIONS}/renew`,
      `{"sessions":[${Array.from({ length: 5001 }, (_, i) => call(`r${i}`)).join()}]}`
    ),
    status: 400
  },
  {
    what: 'renewals that are no list',
    ...post(`${SESSIONS}/renew`, `{"sessions":{"0":${call('a')},"length":1}}`),
    status: 400
  },
  { what: 'a renewal with no user', ...post(`${SESSIONS}/call-1/renew`, '{}'), status: 400 },
  {
    what: 'a reason that is a number',
    ...remove(`${SESSIONS}/call-1`, { body: '{"reason":5}' }),
    status: 400
  },
  { what: 'an end by another name', ...remove(`${SESSIONS}/call-1?user=alice`), status: 400 },
  ...noReports,
  ...queries.map((query): Case => ({
    what: `?${query.slice(0, 40)}`,
    ...get(`${SESSIONS}/active?${query}`),
    status: 400
  })),
  ...[
    'page=0',
    'page=-1',
    'page=1e309',
    'page=10001',
    'limit=0',
    'limit=1001',
    'page=200&limit=1000',
    'sort=name',
    'sort=__proto__'
  ].map((query): Case => ({
    what: `users?${query}`,
    ...get(`${SESSIONS}/users?${query}`),
    status: 400
  })),

  {
    what: 'metadata with odd names and values is kept as it is',
    ...acquire(
      '"node":"pbx-1","metadata":{"toString":"a","\\u0000\\n":"\\u202e","":true,"n":-0.5}'
    ),
    status: 201,
    leaves: ['user-leases:alice', 'session-lease:call-1', 'node-leases:pbx-1']
  },
  {
    what: 'an id of dots',
    ...post(SESSIONS, '{"username":"toString","session_id":".."}'),
    status: 201,
    leaves: ['user-leases:toString', 'session-lease:..']
  },
  ...['a/b', '*', '{call}', 'call%31', 'c'.repeat(512)].map((id): Case => ({
    what: `the id ${id.slice(0, 20)} is an ordinary one`,
    ...post(SESSIONS, `{"username":"valueOf","session_id":"${id}"}`),
    status: 201,
    leaves: ['user-leases:valueOf', `session-lease:${id}`]
  })),
  {
    what: 'an id of another user',
    ...post(SESSIONS, '{"username":"bob","session_id":"call-1"}'),
    status: 409,
    code: 'session_id_conflict',
    leaves: []
  },
  {
    what: 'a report of an id of another user',
    ...report(
      '{"session_id":"call-1","username":"bob"}',
      '"epoch":1,"as_of":"2000-01-01T00:00:00Z"'
    ),
    status: 200,
    leaves: []
  },
  {
    what: 'an end in the name of another user',
    ...remove(`${SESSIONS}/call-1?username=bob`),
    status: 409,
    code: 'session_id_conflict',
    leaves: []
  },
  { what: 'a session that is none', ...get(`${SESSIONS}/hasOwnProperty`), status: 404, leaves: [] },
  {
    what: 'a report that is late',
    ...report('', '"epoch":0'),
    status: 409,
    code: 'stale_epoch',
    leaves: []
  }
]
