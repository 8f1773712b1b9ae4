/** Bodies: limits that are none, and JSON that is none, or that readers may read in two ways. */
import { gzipSync } from 'node:zlib'
import { type Case, post, put, remove } from './case.ts'

const ALICE = '/api/sessions/limits/alice'
const BULK = '/api/sessions/limits/bulk'
const POLICY = '/api/sessions/limits'
const TEMPORARY = '/api/sessions/users/alice/temporary-limit'

/** Texts of JSON that are no limit, wherever one is asked for. */
const noLimit = [
  '"5"',
  '"10abc"',
  '""',
  '"NaN"',
  '1.5',
  '-1',
  '-0.5',
  '1e309',
  '-1e309',
  '1e308',
  '1000001',
  '9007199254740992',
  '9007199254740993',
  '18446744073709551616',
  '[5]',
  '[]',
  '{}',
  'true',
  'false',
  '{"$gt":0}',
  '{"valueOf":5}',
  '{"__proto__":5}'
]

/** Other spellings of what is a limit, as JSON has it. */
const limits = ['0', '5', '-0', '5.0', '1e3', '1000000']

/** Texts that are no JSON. */
const noJson: Record<string, string | Buffer> = {
  'a brace': '{',
  'no value': '{"limit": }',
  'a cut off body': '{"limit": 5',
  'a leading zero': '{"limit": 05}',
  'a plus': '{"limit": +5}',
  'a hexadecimal number': '{"limit": 0x10}',
  'a number with separators': '{"limit": 1_000}',
  'a big integer': '{"limit": 5n}',
  'a name without quotes': '{limit: 5}',
  'single quotes': "{'limit': 5}",
  'not a number': '{"limit": NaN}',
  infinity: '{"limit": Infinity}',
  undefined: '{"limit": undefined}',
  'a form': 'limit=5',
  'two bodies': '{"limit":5}{"limit":6}',
  NUL: '\0',
  'a NUL behind': '{"limit":5}\0',
  'a space': ' ',
  'a comma too many': '{"limit":5,}',
  'a comment': '{"limit":5}//',
  'bytes that are not UTF-8': Buffer.from([0x80, 0xff]),
  'UTF-16': Buffer.from('{"limit":5}', 'utf16le'),
  'two byte order marks': '\ufeff\ufeff{"limit":5}',
  'a line break in a string': '{"limit":5,"a":"\n"}',
  XML: '<limit>5</limit>'
}

/** JSON of a shape that no limit has. */
const otherShapes: Record<string, string> = {
  'no limit': '{}',
  'null for all': 'null',
  'an array': '[]',
  'an array of one': '[{"limit":5}]',
  'a number alone': '5',
  'a string alone': '"limit"',
  'another case': '{"Limit":5}',
  'a member too many': '{"limit":5,"extra":1}',
  "another user's name": '{"limit":5,"username":"bob"}',
  'a prototype': '{"limit":5,"__proto__":{"polluted":1}}',
  'a prototype alone': '{"__proto__":{"limit":5}}',
  'a prototype, escaped': '{"limit":5,"\\u005f\\u005fproto__":{"polluted":1}}',
  'the way to a prototype': '{"limit":5,"constructor":{"prototype":{"polluted":1}}}',
  'a limit given twice': '{"limit":1,"limit":100}',
  'a limit given twice, once escaped': '{"limit":1,"l\\u0069mit":100}'
}

/** Media types that are not JSON. */
const otherTypes = [
  'text/plain',
  'text/json',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/xml',
  'json',
  ';;;',
  'application/jsonp',
  'application/json-patch+json',
  'application/merge-patch+json',
  `application/${'x'.repeat(2000)}`
]

const bulk = (members: string) => post(BULK, `{"limits":{${members}}}`)
const nested = (open: string, close: string, depth: number) =>
  post(BULK, `{"limits":${open.repeat(depth)}1${close.repeat(depth)}}`)

export const limitBodies: Case[] = [
  ...[...noLimit, 'null'].flatMap((value): Case[] => [
    { what: `limit ${value}`, ...put(ALICE, `{"limit":${value}}`), status: 400 },
    {
      what: `limit ${value} for a while`,
      ...post(TEMPORARY, `{"limit":${value},"duration":60}`),
      status: 400
    },
    {
      what: `limit ${value} for everybody`,
      ...put(POLICY, `{"max_sessions_per_user":${value}}`),
      status: 400
    }
  ]),
  ...noLimit.map((value): Case => ({
    what: `limit ${value} in bulk`,
    ...bulk(`"bob":3,"alice":${value}`),
    status: 400
  })),
  ...limits.map((value): Case => ({
    what: `limit ${value}`,
    ...put(ALICE, `{"limit":${value}}`),
    status: 200,
    leaves: ['user-limit:alice']
  })),
  ...['"60"', '0', '-60', '60.5', '1e309', '2592001', 'null', '[60]', 'true'].map(
    (value): Case => ({
      what: `duration ${value}`,
      ...post(TEMPORARY, `{"limit":5,"duration":${value}}`),
      status: 400
    })
  ),
  { what: 'no duration', ...post(TEMPORARY, '{"limit":5}'), status: 400 },
  {
    what: 'a reason that looks like members',
    ...post(
      TEMPORARY,
      '{"limit":1,"duration":60,"reason":"\\"limit\\":1 {\\"limit\\":2 [\\u0000\\r\\n"}'
    ),
    status: 200,
    leaves: ['user-temporary-limit:alice']
  },

  ...Object.entries(noJson).map(([what, body]): Case => ({
    what,
    ...put(ALICE, body),
    status: 400
  })),
  ...Object.entries(otherShapes).map(([what, body]): Case => ({
    what,
    ...put(ALICE, body),
    status: 400
  })),
  {
    what: 'a byte order mark',
    ...put(ALICE, '\ufeff{"limit":5}'),
    status: 200,
    leaves: ['user-limit:alice']
  },
  { what: 'an empty body', ...put(ALICE, ''), status: 400 },
  { what: 'no body', method: 'PUT', path: ALICE, status: 400 },
  { what: 'no body, in bulk', ...post(BULK, ''), status: 400 },
  {
    what: 'an empty body where none is needed',
    ...remove(ALICE, { body: '' }),
    status: 200,
    leaves: ['user-limit:alice']
  },

  ...['_default', '__proto__', 'constructor', 'prototype'].map((name): Case => ({
    what: `${name} with a prototype in it`,
    ...bulk(`"bob":3,"${name}":{"polluted":1}`),
    status: 400
  })),
  { what: 'a user twice', ...bulk('"bob":1,"bob":2'), status: 400 },
  { what: 'a member twice', ...post(BULK, '{"limits":{"bob":1},"limits":{}}'), status: 400 },
  {
    what: '10,001 users',
    ...bulk(Array.from({ length: 10_001 }, (_, i) => `"u${i}":1`).join()),
    status: 400
  },
  { what: 'an array of users', ...post(BULK, '{"limits":[["alice",5]]}'), status: 400 },
  {
    what: 'toString and __defineGetter__',
    ...bulk('"toString":1,"__defineGetter__":2'),
    status: 200,
    leaves: ['user-limit:toString', 'user-limit:__defineGetter__']
  },

  ...['enabled', 'session_limit_action'].map((member): Case => ({
    what: `${member} null`,
    ...put(POLICY, `{"${member}":null}`),
    status: 400
  })),
  { what: 'a policy of nothing', ...put(POLICY, '{}'), status: 400 },
  {
    what: 'a policy with a prototype',
    ...put(POLICY, '{"enabled":true,"__proto__":{"enabled":false}}'),
    status: 400
  },
  {
    what: 'an action of another case',
    ...put(POLICY, '{"session_limit_action":"Reject"}'),
    status: 400
  },
  { what: 'enabled by text', ...put(POLICY, '{"enabled":"false"}'), status: 400 },

  ...[33, 1_000, 100_000, 500_000].flatMap((depth): Case[] => [
    { what: `arrays ${depth} deep`, ...nested('[', ']', depth), status: 400 },
    {
      what: `objects ${depth} deep`,
      ...nested('{"a":', '}', depth),
      status: 400
    }
  ]),
  {
    what: 'arrays 100,000 deep that nothing closes',
    ...post(BULK, `{"limits":${'['.repeat(100_000)}`),
    status: 400
  },
  {
    what: 'a body of more than 64 KiB',
    ...put(ALICE, `{"limit":5,"extra":"${'x'.repeat(70_000)}"}`),
    status: 413
  },
  {
    what: 'white space of more than 64 KiB',
    ...put(ALICE, `{"limit":5}${' '.repeat(70_000)}`),
    status: 413
  },
  { what: 'a bulk body of more than 4 MiB', ...bulk(`"${'a'.repeat(4_200_000)}":5`), status: 413 },
  { what: 'a bulk body of nearly 4 MiB', ...bulk(`"${'a'.repeat(4_100_000)}":5`), status: 400 },
  {
    what: 'a long body in pieces',
    method: 'PUT',
    path: ALICE,
    headers: [
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
      '',
      `11170\r\n${' '.repeat(70_000)}\r\n0\r\n`
    ],
    status: 413
  },

  ...otherTypes.map((type): Case => ({
    what: `the media type ${type.slice(0, 60)}`,
    ...put(ALICE, '{"limit":5}', { type }),
    status: 415
  })),
  { what: 'no media type', ...put(ALICE, '{"limit":5}', { type: null }), status: 415 },
  ...['application/json; charset=utf-8', 'Application/JSON'].map((type): Case => ({
    what: `the media type ${type}`,
    ...put(ALICE, '{"limit":5}', { type }),
    status: 200,
    leaves: ['user-limit:alice']
  })),
  {
    what: 'a compressed body',
    ...put(ALICE, gzipSync('{"limit":5}'), { headers: ['Content-Encoding: gzip'] }),
    status: 400
  },
  {
    what: 'a body that claims to be compressed',
    ...put(ALICE, '{"limit":5', { headers: ['Content-Encoding: br'] }),
    status: 400
  }
]
