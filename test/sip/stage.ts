/** A service, a proxy in front of it, and a callee behind the proxy. */
import { freePort } from '../helpers/ports.ts'
import { type ServerProcess, type Teardown } from '../helpers/process.ts'
import { waitFor } from '../helpers/wait.ts'
import { httpClient, type HttpClient } from '../faults/http-client.ts'
import { type Service } from '../faults/service.ts'
import { type KamailioOptions, startKamailio } from './kamailio.ts'
import { type Calls, type Callers, startCallee, startCallers } from './sipp.ts'

export type StageOptions = Pick<KamailioOptions, 'away'> & Partial<KamailioOptions>

/** Everything a test of calls needs. */
export interface Stage {
  http: HttpClient
  proxy: ServerProcess
  /** Starts the proxy again, after it was killed. */
  restartProxy(): Promise<ServerProcess>
  call(calls: Calls): Callers
  setLimit(username: string, limit: number): Promise<void>
  count(username: string): Promise<number>
  /** How many sessions all users have. */
  total(): Promise<number>
  /** Waits until the service counts so many sessions of the user. */
  waitForCount(username: string, count: number, deadlineMs?: number): Promise<void>
}

/** Starts proxy and callee in front of a service that runs. */
export async function setStage (
  t: Teardown,
  service: Service,
  options: StageOptions
): Promise<Stage> {
  const nextHop = await freePort()
  const settings = {
    port: await freePort(),
    nextHop,
    service,
    timeoutMs: 300,
    noAnswerMs: 5000,
    reportSeconds: 1,
    reportItems: 10_000,
    ttlSeconds: 90,
    ...options
  }
  await startCallee(t, nextHop)
  const http = httpClient(service.url, service.token)
  t.teardown(() => http.close())
  const start = async (): Promise<ServerProcess> => await startKamailio(t, settings)
  const count = async (username: string): Promise<number> =>
    (await http.ask('GET', `/api/sessions/counts/${encodeURIComponent(username)}`)).body.count
  return {
    http,
    proxy: await start(),
    restartProxy: start,
    call: (calls) => startCallers(t, settings.port, calls),
    async setLimit (username, limit) {
      const path = `/api/sessions/limits/${encodeURIComponent(username)}`
      const { status } = await http.ask('PUT', path, { limit })
      if (status !== 200) throw new Error(`the limit was not set: ${status}`)
    },
    count,
    total: async () => (await http.ask('GET', '/api/sessions/counts')).body.total,
    async waitForCount (username, wanted, deadlineMs = 8000) {
      let seen = -1
      const what = `${username} to have ${wanted} sessions`
      await waitFor(async () => (seen = await count(username)) === wanted, { what, deadlineMs })
        .catch((error: Error) => { throw new Error(`${error.message}; counted ${seen}`) })
    }
  }
}
