/** Logging in with a name and a password. */
import { scryptSync } from 'node:crypto'
import { Writable } from 'node:stream'
import t from 'tap'
import { loadConfig } from '../../config.ts'
import { PasswordChecks } from '../../services/auth/password-checks.ts'
import { ADMIN, type Answer, TEST_SECRET, as, startApp } from '../helpers/app.ts'
import { alice, bearer } from './requests.ts'

t.test('logging in', async (t) => {
  const password = 'correct horse battery staple'
  const salt = Buffer.from('a salt of tests!')
  const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  const key = scryptSync(password, salt, 32, { N: 2 ** 14, r: 8, p: 1 })
  const hash = `$scrypt$ln=14,r=8,p=1$${text(salt)}$${text(key)}`
  const env = { ADMIN_USERNAME: 'root', ADMIN_PASSWORD_HASH: hash }
  const url = '/api/auth/login'

  t.test('gives a token that works', async (t) => {
    const app = await startApp(t, { ...env, LOGIN_TOKEN_SECONDS: '120' })
    const { status, body } = await as(app, null)('POST', url, { username: 'root', password })
    t.match(
      { status, body },
      {
        status: 200,
        body: {
          success: true,
          user: { username: 'root', role: 'admin' },
          expiresIn: 120,
          token: String
        }
      }
    )
    t.equal(
      (
        await as(app, null)(
          'PUT',
          '/api/sessions/limits',
          { max_sessions_per_user: 9 },
          bearer(body.token)
        )
      ).status,
      200
    )
    const { iat, exp, sub, role } = app.jwt.decode<{
      iat: number
      exp: number
      sub: string
      role: string
    }>(body.token) ?? {
      iat: 0,
      exp: 0
    }
    t.match({ for: exp - iat, sub, role }, { for: 120, sub: 'root', role: 'admin' })
  })

  t.test('with a wrong password is 401, the same as with an unknown name', async (t) => {
    const app = await startApp(t, env)
    const wrong = await as(app, null)('POST', url, { username: 'root', password: 'wrong' })
    const unknown = await as(app, null)('POST', url, { username: 'nobody', password })
    t.match(wrong, {
      status: 401,
      body: { code: 'invalid_credentials' },
      headers: { 'content-type': /^application\/problem\+json/ }
    })
    t.equal(unknown.text, wrong.text)
    t.equal((await as(app, null)('POST', url, { username: 'ROOT', password })).status, 401)
  })

  t.test('is 404 where it is not configured, and the settings go together', async (t) => {
    t.equal(
      (await as(await startApp(t), null)('POST', url, { username: 'root', password })).status,
      404
    )
    t.throws(() => loadConfig({ ADMIN_USERNAME: 'root' }), {
      message: /^ADMIN_PASSWORD_HASH: must be set because/
    })
    t.throws(() => loadConfig({ ADMIN_PASSWORD_HASH: hash }), {
      message: /^ADMIN_USERNAME: must be set because/
    })
    t.throws(() => loadConfig({ ...env, ADMIN_PASSWORD_HASH: '$scrypt$ln=4,r=8,p=1$x$y' }), {
      message: /^ADMIN_PASSWORD_HASH: /
    })
    t.throws(() => loadConfig({ ...env, ADMIN_PASSWORD_HASH: password }), {
      message: /^ADMIN_PASSWORD_HASH: (?!.*correct horse)/
    })
  })

  t.test('with a malformed body is 400', async (t) => {
    const send = as(await startApp(t, env), null)
    for (const body of [
      {},
      { username: 'root' },
      { password },
      { username: 'root', password: '' },
      { username: '', password },
      { username: 5, password },
      { username: 'root', password: [password] },
      { username: { $ne: null }, password: { $ne: null } },
      {
        username: 'root',
        password,
        extra: 1
      },
      { username: 'r'.repeat(129), password },
      { username: 'root', password: 'p'.repeat(1025) },
      '{',
      '',
      'null',
      '[]'
    ]) {
      const answer = await send('POST', url, body)
      t.match(
        answer,
        { status: 400, body: { code: 'invalid_input' } },
        JSON.stringify(body).slice(0, 60)
      )
      t.notMatch(answer.text, password)
    }
    t.equal(
      (
        await send('POST', url, `username=root&password=${password}`, {
          'content-type': 'application/x-www-form-urlencoded'
        })
      ).status,
      415
    )
    t.equal((await send('GET', url)).status, 405)
  })

  t.test('is limited per account and address, whatever the headers say', async (t) => {
    const send = as(await startApp(t, env), null)
    const guess = async (i: number): Promise<Answer> =>
      await send(
        'POST',
        url,
        { username: 'root', password: `guess ${i}` },
        {
          'x-forwarded-for': `192.0.2.${i}`,
          forwarded: `for=192.0.2.${i}`,
          'x-real-ip': `192.0.2.${i}`
        }
      )
    const answers = []
    for (let i = 0; i < 7; i++) answers.push(await guess(i))
    t.same(
      answers.map(({ status }) => status),
      [401, 401, 401, 401, 401, 429, 429]
    )
    const last = answers.at(-1)
    t.match(last, {
      headers: { 'content-type': /^application\/problem\+json/ },
      body: { code: 'too_many_requests' }
    })
    const retryAfter = Number(last?.headers['retry-after'])
    t.ok(retryAfter >= 1 && retryAfter <= 60, `Retry-After: ${retryAfter}`)
    t.equal(
      (await send('POST', url, { username: 'root', password })).status,
      429,
      'the right password does not help either'
    )
  })

  t.test('whoever guesses locks nobody else out', async (t) => {
    const app = await startApp(t, env)
    const guess = async (remoteAddress: string, given: string) => {
      const payload = { username: 'root', password: given }
      return (await app.inject({ method: 'POST', url, remoteAddress, payload })).statusCode
    }
    for (let i = 0; i < 6; i++) await guess('192.0.2.1', 'guess')
    t.equal(await guess('192.0.2.1', password), 429)
    t.equal(await guess('192.0.2.2', password), 200, 'from another address it works')
    for (let i = 10; i < 50; i++) await guess(`192.0.2.${i}`, 'guess')
    t.equal(await guess('192.0.2.49', 'again'), 429, 'many addresses have one guess each')
    t.equal(await guess('192.0.2.3', password), 200, 'and the right password works')
  })

  t.test('verifies one password at a time, and lets a few wait', async (t) => {
    let [underWay, most, verified] = [0, 0, 0]
    const turns: Array<() => void> = []
    const checks = new PasswordChecks(async (given) => {
      most = Math.max(most, ++underWay)
      await new Promise<void>((resolve) => turns.push(resolve))
      underWay--
      verified++
      return given === password
    })
    const first = checks.verify(password, hash)
    await new Promise((resolve) => setImmediate(resolve))
    const others = Array.from({ length: 8 }, (_, i) =>
      checks.verify('guess', hash, () => i === 3))
    await t.rejects(checks.verify(password, hash), { code: 'too_many_requests' })
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setImmediate(resolve))
      turns.shift()?.()
    }
    t.equal(await first, true)
    t.strictSame(await Promise.all(others), Array.from({ length: 8 }, () => false))
    t.strictSame({ most, verified }, { most: 1, verified: 8 }, 'the one that hung up is left out')
    const last = checks.verify(password, hash)
    await new Promise((resolve) => setImmediate(resolve))
    turns.shift()?.()
    t.equal(await last, true, 'and it goes on')
  })

  t.test('a large body costs nothing', async (t) => {
    const send = as(await startApp(t, env), null)
    const longest = { username: '\u0001'.repeat(128), password: '\u0001'.repeat(1024) }
    t.equal((await send('POST', url, longest)).status, 401, 'the longest is taken')
    const members = Array.from({ length: 1_000 }, (_, i) => `"m${i}":1`).join()
    t.equal((await send('POST', url, `{${members}}`)).status, 413)
  })

  t.test('is limited per address, for whatever account', async (t) => {
    const app = await startApp(t, env)
    const statuses = []
    for (let i = 0; i < 12; i++) {
      statuses.push(
        (
          await as(app, null)(
            'POST',
            url,
            { username: `user${i}`, password: 'guess' },
            { 'x-forwarded-for': `192.0.2.${i}` }
          )
        ).status
      )
    }
    t.same(statuses, [...Array.from({ length: 10 }, () => 401), 429, 429])
    const elsewhere = await app.inject({
      method: 'POST',
      url,
      remoteAddress: '192.0.2.77',
      payload: { username: 'root', password }
    })
    t.equal(elsewhere.statusCode, 200, 'another address is not')
    t.equal((await as(app, ADMIN)('GET', alice)).status, 200, 'nor is anything else')
  })

  t.test('leaves no password and no token in the log', async (t) => {
    let log = ''
    const stream = new Writable({
      write (chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        done()
      }
    })
    const app = await startApp(t, env, { logger: { level: 'trace', stream } })
    const {
      body: { token }
    } = await as(app, null)('POST', url, { username: 'root', password })
    await as(app, null)('POST', url, { username: 'root', password: `${password} wrong` })
    await as(app, null)('POST', url, `{"username":"root","password":"${password}",}`)
    await as(app, null)('GET', alice, undefined, bearer(`${token}x`))
    await as(app, null)('GET', `${alice}?token=${token}`, undefined, bearer(token))
    t.not(log, '')
    for (const secret of [password, token, hash, TEST_SECRET]) {
      t.notOk(log.includes(secret), 'not in the log')
    }
  })
})
