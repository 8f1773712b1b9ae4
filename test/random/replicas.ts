import { httpClient, type HttpClient } from '../faults/http-client.ts'
import { serveApart, type ServiceProcess } from '../faults/service.ts'
import type { Teardown } from '../helpers/process.ts'

/** One replica of the service; killed, it comes back as another process. */
export class Replica {
  readonly name: string
  #t: Teardown
  #env: Record<string, string>
  #service: ServiceProcess
  #client: HttpClient
  #starts = 0

  private constructor (
    t: Teardown,
    name: string,
    env: Record<string, string>,
    service: ServiceProcess
  ) {
    this.#t = t
    this.name = name
    this.#env = env
    this.#service = service
    this.#client = httpClient(service.url, service.token)
    t.teardown(() => this.#client.close())
  }

  static async start (t: Teardown, name: string, env: Record<string, string>): Promise<Replica> {
    return new Replica(t, name, env, await serveApart(t, env))
  }

  /** The process that answers now. */
  get process (): string {
    return `${this.name}.${this.#starts}`
  }

  readonly ask: HttpClient['ask'] = async (...request) => await this.#client.ask(...request)

  async kill (): Promise<void> {
    await this.#service.kill()
  }

  async restart (): Promise<void> {
    this.#starts++
    const port = Number(new URL(this.#service.url).port)
    this.#service = await serveApart(this.#t, this.#env, port)
  }

  pause (): void {
    this.#service.pause()
  }

  resume (): void {
    this.#service.resume()
  }

  /**
   * Whether it says that it is well.
   * @throws Error that says what it lacks
   */
  async saysWell (): Promise<boolean> {
    const { body } = await this.ask('GET', '/healthz/ready')
    if (body?.status !== 'ok' || body.components.redis.status !== 'up') {
      throw new Error(`${this.process} says ${JSON.stringify(body)}`)
    }
    return true
  }

  /**
   * Whether all admissions are decided by Redis.
   * @throws Error that says what it lacks
   */
  async isWell (users: string[]): Promise<boolean> {
    await this.saysWell()
    const answers = await Promise.all(
      users.map(async (username) =>
        await this.ask('POST', '/api/sessions', { username, session_id: 'dry', dry_run: true }))
    )
    const odd = answers.find((answer) => answer.body?.degraded !== false)
    if (odd !== undefined) throw new Error(`${this.process} says ${JSON.stringify(odd.body)}`)
    return true
  }
}
