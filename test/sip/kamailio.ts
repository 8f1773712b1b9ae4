/** The proxy of integrations/kamailio, run as it is given to users. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type ServerProcess, type Teardown, startProcess } from '../helpers/process.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { programs } from './programs.ts'

const folder = fileURLToPath(new URL('../../integrations/kamailio/', import.meta.url))

/** How the proxy is to behave. */
export interface KamailioOptions {
  /** Where it listens, and where it sends calls on to: UDP ports of loopback. */
  port: number
  nextHop: number
  /** Where the service listens, and the token for it. */
  service: { url: string; token: string }
  /** What it does with calls while the service is away. */
  away: 'pass' | 'refuse'
  /** How long it waits for the service, and for the callee, in milliseconds. */
  timeoutMs: number
  noAnswerMs: number
  /** Seconds between reports, and that a lease outlives the last of them. */
  reportSeconds: number
  ttlSeconds: number
  /** How many calls one request of a report holds. */
  reportItems: number
}

/** Starts the proxy with all its workers, and waits until it answers OPTIONS. */
export async function startKamailio (
  t: Teardown,
  options: KamailioOptions
): Promise<ServerProcess> {
  const { port, nextHop, service, away, timeoutMs, noAnswerMs } = options
  const { reportSeconds, reportItems, ttlSeconds } = options
  const { hostname, port: servicePort } = new URL(service.url)
  const args = ['-DD', '-E', '-f', `${folder}kamailio.cfg`, '-Y', temporaryFolder(t)]
  const proxy = await startProcess(
    programs.kamailio,
    args,
    async () => await answersOptions(port),
    {
      SIP_LISTEN: `udp:127.0.0.1:${port}`,
      SIP_NEXT_HOP: `sip:127.0.0.1:${nextHop}`,
      SIP_NO_ANSWER_MS: String(noAnswerMs),
      SESSION_LIMITS_LUA: `${folder}session-limits.lua`,
      SESSION_LIMITS_HOST: hostname,
      SESSION_LIMITS_PORT: servicePort,
      SESSION_LIMITS_KEY: service.token,
      SESSION_LIMITS_NODE: NODE,
      SESSION_LIMITS_AWAY: away,
      SESSION_LIMITS_TIMEOUT_MS: String(timeoutMs),
      SESSION_LIMITS_REPORT: String(reportSeconds),
      SESSION_LIMITS_REPORT_ITEMS: String(reportItems),
      SESSION_LIMITS_TTL: String(ttlSeconds)
    },
    { group: true }
  )
  t.teardown(async () => await proxy.kill())
  return proxy
}

/** The node name that the tests' proxy has. */
export const NODE = 'kamailio-1'

/** Whether a SIP server on this port answers OPTIONS within 100 ms. */
async function answersOptions (port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const own = socket.address().port
  const request = [
    `OPTIONS sip:127.0.0.1:${port} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${own};branch=z9hG4bK-ready-${own}`,
    'From: <sip:test@127.0.0.1>;tag=ready',
    `To: <sip:127.0.0.1:${port}>`,
    `Call-ID: ready-${own}`,
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    'Content-Length: 0'
  ]
  socket.send(`${request.join('\r\n')}\r\n\r\n`, port, '127.0.0.1')
  const answer = await Promise.race([
    once(socket, 'message', { signal: AbortSignal.timeout(100) }).then(([text]) => String(text)),
    once(socket, 'error').then(() => '')
  ]).catch(() => '')
  socket.close()
  return answer.startsWith('SIP/2.0 200')
}
