/** The console of the demonstration: each step is shown, with its answer, and checked. */
import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'

/** How many answers were not as promised. */
export let failed = 0

/** Counts and shows an error that ended the demonstration. */
export function fail (error) {
  failed++
  console.error(`\n✗ ${error.message}`)
}

/** Begins a part. */
export function title (text) {
  console.log(`\n── ${text}\n`)
}

/** One step: the command, its answer, shortened, and whether it is as promised. */
export function show (command, answer, kept, promise) {
  const shown =
    answer.length <= 200 ? answer : `${answer.slice(0, 160)} … (${answer.length} characters)`
  console.log(`$ ${command}\n${shown}\n${kept ? '✓' : '✗'} ${promise}\n`)
  if (!kept) failed++
}

/** Redis through redis-cli: `run` in silence, `show` in sight, with a check of what it prints. */
export function redisConsole (program, port) {
  const run = (args, options = {}) =>
    execFileSync(program, ['-p', port, ...args], { encoding: 'utf8', ...options }).trimEnd()
  return {
    run,
    show (command, promised) {
      const printed = JSON.stringify(run(command.split(' ')))
      const wanted = JSON.stringify(promised)
      show(`redis-cli -p ${port} ${command}`, printed, printed === wanted, `prints ${wanted}`)
    }
  }
}

/**
 * A function that sends a request in sight, and checks its answer: the status and the whole body,
 * or what `promised` says of it.
 */
export function requests (url, secret) {
  const authorization = `Bearer ${token(secret, { sub: 'demo', role: 'admin' })}`
  console.log(
    `$ export URL=${url} TOKEN=<signed with JWT_SECRET: {"sub":"demo","role":"admin","exp":…}>`
  )
  return async (method, route, body, promise, promised, status = 200) => {
    const headers = { authorization, ...(body && { 'content-type': 'application/json' }) }
    const answer = await fetch(url + route, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    const got = JSON.parse(text)
    const kept = typeof promised === 'function' ? promised(got) : isDeepStrictEqual(got, promised)
    const verb = method === 'GET' ? '' : ` -X ${method}`
    const data = body ? ` -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'` : ''
    show(
      `curl${verb}${data} -H "Authorization: Bearer $TOKEN" "$URL${route}"`,
      `${answer.status} ${text}`,
      answer.status === status && kept,
      promise
    )
    return got
  }
}

/** A token as the web console signs it: HS256 (RFC 7515). */
function token (secret, claims) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const payload = encode({ iat: now, exp: now + 3600, ...claims })
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}
