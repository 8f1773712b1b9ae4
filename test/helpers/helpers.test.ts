import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  startCluster,
  startEtcd,
  startProxy,
  startRedis,
  startSentinel,
  waitFor
} from './servers.ts'

t.test('waitFor', async (t) => {
  let looks = 0
  t.equal(
    await waitFor(() => ++looks === 3 && 'third', { what: 'the third look', everyMs: 1 }),
    'third'
  )
  await t.rejects(
    waitFor(
      () => {
        throw new Error('no luck')
      },
      { what: 'luck', deadlineMs: 50 }
    ),
    /gave up waiting for luck after 50 ms; last seen: no luck/
  )
  const hung = new Promise(() => {})
  await t.rejects(
    waitFor(async () => await hung, { what: 'a hung check', deadlineMs: 50 }),
    /a hung check/
  )
})

t.test('redis: plain', async (t) => {
  const start = performance.now()
  const redis = await startRedis(t)
  t.comment(`ready in ${Math.round(performance.now() - start)} ms`)
  t.equal(await redis.cli('SET', 'a', '1'), 'OK')
  t.equal(await redis.load(Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n')), 1)
  t.equal(await redis.cli('GET', 'b'), '2')
  await t.rejects(redis.load(Buffer.from('*1\r\n$4\r\nNOPE\r\n')), /errors: 1/)
  await t.rejects(redis.cli('NOPE'), /unknown command/)

  const { pid } = redis
  await redis.restart({ keepData: true })
  t.not(redis.pid, pid)
  t.equal(await redis.cli('GET', 'a'), '1', 'the data was kept')
  await redis.kill()
  await t.rejects(redis.cli('PING'), /refused/)
  await redis.restart()
  t.equal(await redis.cli('GET', 'a'), '', 'the data is gone')
})

t.test('redis: a wrong command line fails the start', async (t) => {
  await t.rejects(
    startRedis(t, { args: ['--no-such-option', 'x'] }),
    /ended while starting[^]*no-such-option/
  )
})

t.test('redis: append-only file survives a crash', async (t) => {
  const redis = await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  await redis.cli('SET', 'a', '1')
  await redis.kill()
  await redis.restart({ keepData: true })
  t.equal(await redis.cli('GET', 'a'), '1')
})

t.test('redis: TLS and password', async (t) => {
  const redis = await startRedis(t, { tls: true, password: 'p@ss word' })
  t.match(redis.url, 'rediss://:p%40ss%20word@127.0.0.1:')
  t.equal(await redis.cli('PING'), 'PONG')
  await redis.restart()
  t.equal(await redis.cli('PING'), 'PONG')
})

t.test('redis: pause and resume', async (t) => {
  const redis = await startRedis(t)
  redis.pause()
  const answer = redis.cli('PING')
  t.equal(await Promise.race([answer, sleep(200, 'silent')]), 'silent')
  redis.resume()
  t.equal(await answer, 'PONG')
  redis.pause() // and the end of the test must cope with it
})

for (const options of [
  {},
  { tls: true },
  { auth: { user: 'root', password: 'r' } },
  { tls: true, auth: { user: 'ferry', password: 'x' } }
]) {
  t.test(`etcd: ${JSON.stringify(options)}`, async (t) => {
    const start = performance.now()
    const etcd = await startEtcd(t, options)
    t.comment(`ready in ${Math.round(performance.now() - start)} ms`)
    await etcd.put('/a', 'ä')
    t.equal(await etcd.get('/a'), 'ä')
    t.equal(await etcd.get('/none'), undefined)
    await etcd.restart({ keepData: true })
    t.equal(await etcd.get('/a'), 'ä', 'the data was kept')
    await etcd.delete('/a')
    t.equal(await etcd.get('/a'), undefined)
    await etcd.kill()
    await t.rejects(etcd.get('/a'))
    await etcd.restart()
    if (options.auth && !options.tls) {
      const anonymous = await fetch(`${etcd.url}/v3/kv/range`, {
        method: 'POST',
        body: '{"key":"YQ=="}'
      })
      t.not(anonymous.status, 200, 'who gives no password gets no answer')
    }
    etcd.pause()
    // The signal is only on its way at first, and another thread may answer once more.
    await waitFor(() => hasStopped(etcd.pid), { what: 'etcd to stop' })
    const answer = etcd.get('/a').catch((error: Error) => error)
    t.equal(await Promise.race([answer, sleep(200, 'silent')]), 'silent')
    etcd.resume()
    t.equal(await answer, undefined)
  })
}

for (const options of [{}, { password: 'secret' }]) {
  t.test(`sentinels replace a dead master: ${JSON.stringify(options)}`, async (t) => {
    const start = performance.now()
    const { master, replica, sentinels, masterPort } = await startSentinel(t, options)
    t.comment(`ready in ${Math.round(performance.now() - start)} ms`)
    t.equal(sentinels.length, 3)
    t.equal(await masterPort(), master.port)
    await master.cli('SET', 'a', '1')
    t.equal(await master.cli('WAIT', '1', '1000'), '1')
    await master.kill()
    await waitFor(async () => (await masterPort()) === replica.port, {
      what: 'the failover'
    })
    t.equal(await replica.cli('GET', 'a'), '1')
    await waitFor(async () => (await replica.cli('SET', 'a', '2')) === 'OK', {
      what: 'the new master to take writes'
    })
  })
}

t.test('cluster: every node is ready, and a replica takes over', async (t) => {
  const start = performance.now()
  const { masters, replicas } = await startCluster(t)
  t.comment(`ready in ${Math.round(performance.now() - start)} ms`)
  const [first] = masters
  t.equal(await first?.cli('-c', 'SET', 'foo', 'bar'), 'OK', 'slot 12182 belongs to another master')
  t.equal(await masters[2]?.cli('GET', 'foo'), 'bar')
  for (const replica of replicas) t.match(await replica.cli('ROLE'), /^slave\n[^]*\nconnected\n/)
  await first?.kill()
  await waitFor(async () => (await replicas[0]?.cli('ROLE'))?.startsWith('master'), {
    what: 'the replica to take over'
  })
})

t.test('proxy', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const open = async () => {
    const socket = connect(proxy.port, proxy.host)
    t.teardown(() => socket.destroy())
    const ended = once(socket, 'close').then(
      () => 'ended',
      (error: NodeJS.ErrnoException) => error.code
    )
    await once(socket, 'connect')
    const ask = async (command: string, bytes = 1): Promise<string> =>
      await new Promise((resolve) => {
        let reply = ''
        const take = (chunk: Buffer): void => {
          reply += chunk.toString()
          if (reply.length >= bytes) socket.off('data', take)
          if (reply.length >= bytes) resolve(reply)
        }
        socket.on('data', take)
        socket.write(`${command}\r\n`)
      })
    return { ask, ended, socket }
  }
  const timed = async (work: Promise<unknown>): Promise<number> => {
    const start = performance.now()
    await work
    return performance.now() - start
  }

  await t.test('pass', async (t) => {
    const { ask, ended, socket } = await open()
    t.equal(await ask('PING'), '+PONG\r\n')
    socket.end()
    t.equal(await ended, 'ended')
    const quitting = await open()
    t.equal(await quitting.ask('QUIT'), '+OK\r\n')
    t.equal(await quitting.ended, 'ended', 'the end of the server is handed on')
  })
  await t.test('reset', async (t) => {
    const live = await open()
    await live.ask('PING')
    proxy.reset()
    t.equal(await live.ended, 'ECONNRESET')
    t.equal(
      await open().then(
        async ({ ended }) => await ended,
        (error) => error.code
      ),
      'ECONNRESET'
    )
    proxy.pass()
    t.equal(await (await open()).ask('PING'), '+PONG\r\n')
  })
  await t.test('delay', async (t) => {
    const { ask, socket } = await open()
    proxy.delay(50)
    const oneMs = await timed(ask('PING'))
    t.ok(oneMs >= 100, `50 ms each way: ${oneMs} ms`)
    const replies = ask('PING', 10 * '+PONG\r\n'.length)
    const manyMs = await timed(
      (async () => {
        for (let sent = 1; sent < 10; sent++) {
          await sleep(5)
          socket.write('PING\r\n')
        }
        await replies
      })()
    )
    t.ok(
      manyMs >= 100 && manyMs < 400,
      `10 requests 5 ms apart do not wait for each other: ${manyMs} ms`
    )
    proxy.pass()
    t.ok((await timed(ask('PING'))) < 100)
  })
  await t.test('trickle', async (t) => {
    const { ask } = await open()
    const reply = '$2000\r\n' + 'x'.repeat(2000) + '\r\n'
    await redis.cli('SET', 'long', 'x'.repeat(2000))
    proxy.trickle(10)
    let got = ''
    const tookMs = await timed(
      ask('GET long', reply.length).then((text) => {
        got = text
      })
    )
    t.ok(got === reply)
    t.ok(tookMs >= 200 && tookMs < 1000, `2 kB at 10 bytes per ms: ${tookMs} ms`)
    proxy.pass()
  })
  await t.test('blackhole', async (t) => {
    const { ask, ended } = await open()
    const idle = await open()
    await ask('SET a before')
    proxy.blackhole()
    const fresh = await open()
    t.equal(
      await Promise.race([ask('SET a after'), fresh.ask('PING'), ended, sleep(100, 'silent')]),
      'silent'
    )
    t.equal(await redis.cli('GET', 'a'), 'before')
    proxy.pass()
    t.equal(await ended, 'ECONNRESET', 'a connection that lost bytes cannot go on')
    t.equal(await idle.ask('PING'), '+PONG\r\n', 'one that lost none can')
  })
  await t.test('blackhole hides that the server died', async (t) => {
    const { ask, ended } = await open()
    await ask('PING')
    proxy.blackhole()
    await redis.kill()
    t.equal(await Promise.race([ended, sleep(100, 'silent')]), 'silent')
    proxy.pass()
    t.equal(await ended, 'ECONNRESET')
    await redis.restart()
  })
  await t.test('swallowNextReply', async (t) => {
    const { ask, ended } = await open()
    const bystander = await open()
    await ask('PING')
    const swallowed = proxy.swallowNextReply()
    t.equal(await Promise.race([ask('INCR counter'), ended]), 'ECONNRESET')
    await swallowed
    t.equal(await redis.cli('GET', 'counter'), '1', 'the command was carried out')
    t.equal(await bystander.ask('PING'), '+PONG\r\n')
    t.equal(await (await open()).ask('INCR counter'), ':2\r\n')
  })
  await t.test('close', async (t) => {
    const { ask, ended } = await open()
    await ask('PING')
    await proxy.close()
    t.equal(await ended, 'ECONNRESET')
    await t.rejects(open(), { code: 'ECONNREFUSED' })
  })
})

/** Whether every thread of a process has stopped. */
function hasStopped (pid: number): boolean {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).every((task) =>
    /\) [Tt] /.test(readFileSync(`${tasks}/${task}/stat`, 'utf8')))
}
