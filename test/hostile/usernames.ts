/** Names that are none, wherever one is asked for, and names that only look odd. */
import { get, post, put, remove, type Case, type Request } from './case.ts'

const LIMIT = '{"limit":5}'

/** Names that no request may use. */
const reserved: Record<string, string> = {
  'the name that the list gives the policy': '_default',
  'the prototype of an object': '__proto__',
  constructor: 'constructor',
  prototype: 'prototype',
  '257 characters': 'a'.repeat(257),
  '2,000 characters': 'a'.repeat(2000)
}

/** Names that only another program can have stored: read and removed, and nothing else. */
const foreign: Record<string, string> = {
  'a hash tag': '{alice}',
  'an empty hash tag': '{}',
  NUL: '\0',
  'a NUL inside': 'al\0ice',
  'a line break and a command': 'alice\r\nSET x 1',
  'a line break at its end': 'alice\n',
  'the way up by backslashes': '..\\..\\windows',
  'a Cyrillic а': '\u0430lice',
  'full-width letters': '\uff41lice',
  'a Turkish dotless ı': 'al\u0131ce',
  'a letter and its accent apart (NFD)': 'rene\u0301',
  'a letter with its accent (NFC)': 'ren\u00e9',
  'a turn of direction': 'alice\u202egnp',
  'a zero-width space': 'ali\u200bce',
  'a zero-width joiner': 'ali\u200dce',
  'a soft hyphen': 'ali\u00adce',
  'a byte order mark': '\ufeffalice',
  'a space': ' ',
  'a space before': ' alice',
  'a space behind': 'alice ',
  'a tab': 'al\tice',
  'a no-break space': 'al\u00a0ice',
  'a line separator': 'alice\u2028',
  'an emoji': '\u{1f600}',
  'a quotation mark': 'alice"',
  'an apostrophe and SQL': "alice' OR '1'='1",
  'a tag': '<script>alert(1)</script>',
  'a template': '#{7*7}',
  'a pipe': 'alice|id'
}

/** Paths that are not escaped as UTF-8, and so name nobody. */
const pathOnly: Record<string, string> = {
  'a reserved name, escaped': '%5f%5fproto%5f%5f',
  'bytes that are not ASCII': 'al\xefce',
  'bytes that are not UTF-8': '%ff%fe',
  'UTF-8 that is cut off': 'ren%c3',
  'UTF-8 that is too long for its letter': '%c0%ae%c0%ae',
  'half a surrogate pair': '%ed%a0%80',
  'an escape that is none': '%zz',
  'an escape that is cut off': 'alice%2',
  'an escape of another kind': '%u0061lice',
  'a NUL that is cut from a longer one': '%0',
  'dot-dot, escaped': '%2e%2e',
  'a dot': '.',
  'dot-dot': '..'
}

/** Names that mean something elsewhere, and nothing here. */
const ordinary = [
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  'Constructor',
  '_Default',
  '__proto',
  'null',
  'undefined',
  'NaN',
  '0',
  '-1',
  '...',
  '-rf',
  '~',
  'A',
  'bulk',
  'a@b.example',
  '+14155550100',
  'a'.repeat(256),
  '*',
  'ali*',
  'alic?',
  'alic[ef]',
  'alice:user-limit',
  'alice/bob',
  '../../etc/passwd',
  '100%',
  '%61lice',
  'alice;id',
  'alice,bob',
  'alice&limit=1',
  'alice#bob',
  'sip:alice@example.net',
  "o'brien"
]

/** A character, escaped for a JSON string, so that every byte on the wire is plain. */
const json = (name: string) => JSON.stringify(name)

/** Every way in which a name stands in a path. */
function inPaths (what: string, name: string): Array<Case & Request> {
  const user = `/api/sessions/users/${name}`
  return [
    { what: `${what}, read`, ...get(`/api/sessions/limits/${name}`), status: 400 },
    { what: `${what}, written`, ...put(`/api/sessions/limits/${name}`, LIMIT), status: 400 },
    { what: `${what}, removed`, ...remove(`/api/sessions/limits/${name}`), status: 400 },
    { what: `${what}, counted`, ...get(`/api/sessions/counts/${name}`), status: 400 },
    {
      what: `${what}, for a while`,
      ...post(`${user}/temporary-limit`, '{"limit":5,"duration":60}'),
      status: 400
    },
    { what: `${what}, ended`, ...remove(`${user}/sessions`), status: 400 }
  ]
}

/** Every way in which a name stands in a body or a query. */
function elsewhere (what: string, name: string): Case[] {
  return [
    {
      what: `${what}, admitted`,
      ...post('/api/sessions', `{"username":${json(name)},"session_id":"s"}`),
      status: 400
    },
    {
      what: `${what}, renewed`,
      ...post('/api/sessions/renew', `{"sessions":[{"username":${json(name)},"session_id":"s"}]}`),
      status: 200,
      invalid: 1
    },
    {
      what: `${what}, in bulk`,
      ...post('/api/sessions/limits/bulk', `{"limits":{"bob":1,${json(name)}:5}}`),
      status: 400
    }
  ]
}

/** The list of sessions, searched for a name. */
function searched (what: string, name: string): Case {
  return {
    what: `${what}, searched`,
    ...get(`/api/sessions/active?username=${encodeURIComponent(name)}`),
    status: 400
  }
}

function writes (method: string, path: string): boolean {
  return method === 'PUT' || path.endsWith('temporary-limit')
}

export const usernames: Case[] = [
  { what: 'no name, read', ...get('/api/sessions/limits/'), status: 400 },
  { what: 'no name, written', ...put('/api/sessions/limits/', LIMIT), status: 400 },
  { what: 'no name, ended', ...remove('/api/sessions/users//sessions'), status: 400 },
  { what: 'a path that goes on', ...get('/api/sessions/limits/alice/bob'), status: 404 },
  {
    what: 'a name longer than any URL',
    ...get(`/api/sessions/limits/${'a'.repeat(3000)}`),
    status: 414
  },
  {
    what: 'a name longer than any URL, escaped',
    ...put(`/api/sessions/limits/${'%61'.repeat(3000)}`, LIMIT),
    status: 414
  },
  {
    what: 'a prefix longer than any name',
    ...get(`/api/sessions/limits?prefix=${'a'.repeat(257)}`),
    status: 400
  },
  ...elsewhere('no name', ''),
  searched('no name', ''),
  ...Object.entries(reserved).flatMap(([what, name]) => [
    ...inPaths(what, encodeURIComponent(name)),
    ...elsewhere(what, name),
    searched(what, name)
  ]),
  ...Object.entries(foreign).flatMap(([what, name]) => [
    ...inPaths(what, encodeURIComponent(name)).filter(({ path, method }) => writes(method, path)),
    ...elsewhere(what, name)
  ]),
  ...Object.entries(pathOnly).flatMap(([what, name]) => inPaths(what, name)),
  ...ordinary.flatMap((name): Case[] => [
    {
      what: `${name} is an ordinary user`,
      ...put(`/api/sessions/limits/${encodeURIComponent(name)}`, LIMIT),
      status: 200,
      leaves: [`user-limit:${name}`]
    },
    {
      what: `${name} has a count`,
      ...get(`/api/sessions/counts/${encodeURIComponent(name)}`),
      status: 200,
      leaves: []
    }
  ]),
  {
    what: 'a plus is a plus',
    ...put('/api/sessions/limits/a+b', LIMIT),
    status: 200,
    leaves: ['user-limit:a+b']
  },
  {
    what: 'a name that needs no escapes and has them',
    ...put('/api/sessions/limits/%63arol', LIMIT),
    status: 200,
    leaves: ['user-limit:carol']
  }
]
