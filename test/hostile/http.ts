/**
 * HTTP itself: what is no request, hides another one, claims another method, is too large, or names
 * a header it may not.
 */
import { type Case, adminHead, get, post, put, remove } from './case.ts'

const ALICE = '/api/sessions/limits/alice'
const BODY = '{"limit":5}'
const TYPE = 'Content-Type: application/json\r\n'
const head = adminHead('GET', ALICE)
const putHead = adminHead('PUT', ALICE) + TYPE
const hidden = `${adminHead('DELETE', ALICE)}\r\n`

/** Bytes that are no request, or may be read as more than one. */
const bytes: Record<string, string> = {
  'no HTTP at all': 'nonsense\r\n\r\n',
  TLS: '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n',
  'a Redis command': '*1\r\n$4\r\nPING\r\n',
  'no path': 'GET\r\n\r\n',
  'no path and a version': 'GET HTTP/1.1\r\n\r\n',
  'a version that does not exist': head.replace('HTTP/1.1', 'HTTP/9.9') + '\r\n',
  'another protocol': head.replace('HTTP/1.1', 'FTP/1.1') + '\r\n',
  'a NUL in the method': `G\0T${head.slice(3)}\r\n`,
  'a method that does not exist': `BREW${head.slice(3)}\r\n`,
  'a method in small letters': `get${head.slice(3)}\r\n`,
  'a space in the path': head.replace(ALICE, '/a b') + '\r\n',
  'a path without a slash': head.replace(ALICE, 'alice') + '\r\n',
  'a NUL in the path': head.replace(ALICE, `${ALICE}\0`) + '\r\n',
  'no host': `GET ${ALICE} HTTP/1.1\r\nConnection: close\r\n\r\n`,
  'two hosts': `${head}Host: other\r\n\r\n`,
  'the same host twice': `${head}Host: localhost\r\n\r\n`,
  'a header without a colon': `${head}Bad\r\n\r\n`,
  "a space in a header's name": `${head}Bad Header: x\r\n\r\n`,
  'a space before a colon': `${head}Bad : x\r\n\r\n`,
  'a header without a name': `${head}: x\r\n\r\n`,
  'a NUL in a header': `${head}X: a\0b\r\n\r\n`,
  'a folded header': `${head} folded: x\r\n\r\n`,
  'a colour in a request id': `${head}X-Request-Id: \x1b[31mred\r\n\r\n`,
  'a bare CR in a request id': `${head}X-Request-Id: a\rX-Injected: b\r\n\r\n`,
  'a length that is text': `${putHead}Content-Length: ten\r\n\r\n${BODY}`,
  'a length that is negative': `${putHead}Content-Length: -1\r\n\r\n${BODY}`,
  'a length with a sign': `${putHead}Content-Length: +11\r\n\r\n${BODY}`,
  'a length in hexadecimal': `${putHead}Content-Length: 0xb\r\n\r\n${BODY}`,
  'a length beyond all numbers': `${putHead}Content-Length: 99999999999999999999\r\n\r\n${BODY}`,
  'two lengths': `${putHead}Content-Length: 11\r\nContent-Length: 12\r\n\r\n${BODY}`,
  'two lengths in one': `${putHead}Content-Length: 11, 11\r\n\r\n${BODY}`,
  'a length and chunks (CL.TE)':
    `${putHead}Content-Length: 11\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  'chunks and a length (TE.CL)':
    `${putHead}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${hidden}`,
  'chunks by another name': `${putHead}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
  'chunks, and a space before the colon':
    `${putHead}Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n${hidden}`,
  'chunks that are not the last coding':
    `${putHead}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
  'chunks of a size that is none':
    `${putHead}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n${hidden}`,
  'chunks of a negative size': `${putHead}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n${hidden}`,
  'chunks of a size beyond all numbers':
    `${putHead}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n${hidden}`,
  'chunks in HTTP/1.0, which has none':
    `${putHead.replace('HTTP/1.1', 'HTTP/1.0')}Transfer-Encoding: chunked\r\n\r\n` +
    `b\r\n${BODY}\r\n0\r\n\r\n`,
  'gzip inside chunks':
    `${putHead}Transfer-Encoding: gzip, chunked\r\n\r\nb\r\n${BODY}\r\n0\r\n\r\n`,
  'chunks inside chunks':
    `${putHead}Transfer-Encoding: chunked, chunked\r\n\r\nb\r\n${BODY}\r\n0\r\n\r\n`,
  'chunks twice':
    `${putHead}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n` +
    `b\r\n${BODY}\r\n0\r\n\r\n`,
  'identity, and chunks':
    `${putHead}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n` +
    `b\r\n${BODY}\r\n0\r\n\r\n`,
  'two types': `${putHead}Content-Type: text/plain\r\nContent-Length: 11\r\n\r\n${BODY}`,
  'the same type twice': `${putHead}${TYPE}Content-Length: 11\r\n\r\n${BODY}`,
  'line feeds for line ends': `${putHead}Content-Length: 0\n\n${hidden}`,
  'chunks in small letters that are no header':
    `${putHead}\vTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`
}

/** Character sets that JSON does not have. */
const charsets = ['utf-16', 'UTF-16LE', '"utf-32"', 'iso-8859-1', 'utf-7', 'x']

const overrides = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']

/** Request ids that would mean something to a log, a header or a shell. */
const requestIds = [
  'a%0d%0aX-Injected: b',
  '#{7*7}',
  '<script>alert(1)</script>',
  '"},{"level":60',
  'x'.repeat(10_000),
  '$(id)',
  '../../etc/passwd',
  '__proto__',
  '',
  '\xe9\xff'
]

export const http: Case[] = [
  ...Object.entries(bytes).map(([what, bytes]): Case => ({ what, bytes, status: 400 })),
  {
    what: 'chunks as they should be',
    bytes: `${putHead}Transfer-Encoding: chunked\r\n\r\nb\r\n${BODY}\r\n0\r\n\r\n`,
    status: 200,
    leaves: ['user-limit:alice']
  },
  ...charsets.map((charset): Case => ({
    what: `a body in the character set ${charset}`,
    ...put(ALICE, BODY, { type: `application/json; charset=${charset}` }),
    status: 415
  })),
  {
    what: 'a body in UTF-16',
    ...put(ALICE, Buffer.from(BODY, 'utf16le'), { type: 'application/json; charset=utf-16' }),
    status: 415
  },
  ...['utf-8', 'UTF-8', '"utf-8"', 'utf8'].map((charset): Case => ({
    what: `a body in the character set ${charset}`,
    ...put(ALICE, BODY, { type: `application/json;charset=${charset}` }),
    status: 200,
    leaves: ['user-limit:alice']
  })),
  {
    what: 'a body that ends early',
    ...put(ALICE, BODY, { headers: [] }),
    status: 200,
    leaves: ['user-limit:alice']
  },
  {
    what: 'a length that is too short',
    bytes: `${putHead}Content-Length: 5\r\n\r\n${BODY}`,
    status: 400
  },
  {
    what: 'a header of 20,000 characters',
    ...get(ALICE, { headers: [`X: ${'x'.repeat(20_000)}`] }),
    status: 431
  },
  { what: 'a path of 20,000 characters', ...get(`/${'x'.repeat(20_000)}`), status: 431 },
  {
    what: 'a thousand headers',
    ...get(ALICE, {
      headers: Array.from({ length: 1000 }, (_, i) => `X-${i}: ${i}${'x'.repeat(20)}`)
    }),
    status: 431
  },
  {
    what: 'an unmet expectation',
    ...get(ALICE, { headers: ['Expect: miracles'] }),
    status: 417,
    code: null
  },

  ...overrides.flatMap((header): Case[] => [
    {
      what: `${header}: DELETE on a GET`,
      ...get('/api/sessions/limits/carol', { headers: [`${header}: DELETE`] }),
      status: 200,
      leaves: []
    },
    {
      what: `${header}: PUT on a POST`,
      ...post(ALICE, BODY, { headers: [`${header}: PUT`] }),
      status: 405
    }
  ]),
  { what: 'a method in the query', ...post(`${ALICE}?_method=PUT`, BODY), status: 405 },
  ...['TRACE', 'OPTIONS', 'PATCH', 'POST'].map((method): Case => ({
    what: `${method}, which the path does not have`,
    method,
    path: ALICE,
    status: 405
  })),
  ...['TRACE', 'OPTIONS', 'DELETE'].map((method): Case => ({
    what: `${method} on a probe`,
    method,
    path: '/healthz/live',
    status: 405
  })),
  { what: 'TRACE on a path that does not exist', method: 'TRACE', path: '/nothing', status: 404 },
  {
    what: 'HEAD on a path that only writes',
    method: 'HEAD',
    path: '/api/sessions/users/alice/temporary-limit',
    status: 405
  },

  ...requestIds.map((id): Case => ({
    what: `the request id ${JSON.stringify(id.slice(0, 30))}`,
    ...get('/healthz/live', { headers: [`X-Request-Id: ${id}`] }),
    status: 200
  })),
  {
    what: 'two request ids',
    ...get('/healthz/live', { headers: ['X-Request-Id: a', 'X-Request-Id: b'] }),
    status: 200
  },

  ...[
    '/nothing',
    '/api',
    '/api/',
    '//',
    '/api//sessions/limits',
    '/./api/sessions/limits',
    '/api/sessions/../sessions/limits',
    '/.env',
    '/.git/config',
    '/etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/*',
    '/server-status',
    '/metrics/../api/sessions/limits'
  ].map((path): Case => ({ what: path, ...get(path), status: 404 })),
  {
    what: 'a whole URL for a path',
    bytes: `${head.replace(ALICE, `http://other.example${ALICE}`)}\r\n`,
    status: 200,
    leaves: []
  },
  {
    what: 'a whole URL for a path, without a token',
    ...get(`http://other.example${ALICE}`, { token: null }),
    status: 401
  },
  ...[
    '/%',
    '/%zz',
    '/%c0%ae%c0%ae/',
    '/api/sessions/limits/%e0%a4%a',
    '/api/sessions/%ff',
    '/api/sessions/nodes/%'
  ].map((path): Case => ({ what: path, ...get(path), status: 400 })),

  { what: 'a doubled parameter', ...get('/api/sessions/limits?count=1&count=2'), status: 400 },
  { what: 'a parameter in brackets', ...get('/api/sessions/limits?count[]=1'), status: 400 },
  {
    what: 'a parameter with members',
    ...get('/api/sessions/limits?prefix[__proto__]=a'),
    status: 400
  },
  {
    what: 'a thousand parameters',
    ...get(`/api/sessions/limits?${Array.from({ length: 1000 }, (_, i) => `p${i}=1`).join('&')}`),
    status: 400
  },
  { what: 'an unknown parameter on a write', ...put(`${ALICE}?dry_run=true`, BODY), status: 400 },
  { what: 'an unknown parameter on a removal', ...remove(`${ALICE}?force=1`), status: 400 },
  { what: 'a prototype as a parameter', ...get('/api/sessions/limits?__proto__=1'), status: 400 },
  {
    what: 'a prototype as an escaped parameter',
    ...get('/api/sessions/limits?%5f%5fproto%5f%5f[polluted]=1'),
    status: 400
  },
  { what: 'a query that is a question', ...get(`${ALICE}??`), status: 400 },
  {
    what: 'a query that is a semicolon',
    ...get('/api/sessions/limits?count=1;prefix=a'),
    status: 400
  },

  {
    what: 'an upgrade to WebSocket',
    bytes:
      adminHead('GET', '/healthz/live').replace('close', 'close, Upgrade') +
      'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
    status: 200
  },
  {
    what: 'an upgrade to HTTP/2',
    bytes:
      adminHead('GET', '/healthz/live').replace('close', 'close, Upgrade, HTTP2-Settings') +
      'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
    status: 200
  },
  { what: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: 400 },
  {
    what: 'a range',
    ...get('/healthz/live', { headers: ['Range: bytes=0-1000000,0-1,0-2'] }),
    status: 200
  },
  {
    what: 'a language of many',
    ...get('/healthz/live', { headers: [`Accept-Language: ${'a,'.repeat(5000)}`] }),
    status: 200
  },
  {
    what: 'an answer that nobody can read',
    ...get('/healthz/live', { headers: ['Accept: image/png', 'Accept-Encoding: nothing;q=0'] }),
    status: 200
  }
]
