import type { CliTarget } from '../helpers/redis-cli.ts'
import type { Teardown } from '../helpers/process.ts'
import { startProxy, type TcpProxy } from '../helpers/tcp-proxy.ts'

/**
 * A network between each replica of the service and each server. What servers say of where the
 * others are is changed, so that a replica reaches all of them through its own proxies.
 */
export class Network {
  #proxies: TcpProxy[][]
  #servers: CliTarget[]

  private constructor (servers: CliTarget[], proxies: TcpProxy[][]) {
    this.#servers = servers
    this.#proxies = proxies
  }

  static async start (t: Teardown, servers: CliTarget[], replicas: number): Promise<Network> {
    const proxies: TcpProxy[][] = []
    for (let replica = 0; replica < replicas; replica++) {
      const ports = new Map<string, string>()
      const rewrite = (reply: Buffer) =>
        Buffer.from(reply.toString('latin1').replace(/\b\d{5}\b/g, (port) =>
          ports.get(port) ?? port), 'latin1')
      const own: TcpProxy[] = []
      for (const server of servers) {
        const proxy = await startProxy(t, server, rewrite)
        ports.set(String(server.port), String(proxy.port))
        own.push(proxy)
      }
      proxies.push(own)
    }
    return new Network(servers, proxies)
  }

  /** Where a replica reaches these servers, as the settings name it. */
  addresses (replica: number, servers: CliTarget[]): string {
    return servers.map((server) => {
      const { host, port } = this.#between(replica, server)
      return `${host}:${port}`
    }).join()
  }

  /** What lies between a replica and the servers: all of them, unless some are named. */
  proxies (replica: number, servers: CliTarget[] = this.#servers): TcpProxy[] {
    return servers.map((server) => this.#between(replica, server))
  }

  #between (replica: number, server: CliTarget): TcpProxy {
    const proxy = this.#proxies[replica]?.[this.#servers.indexOf(server)]
    if (proxy === undefined) throw new Error('no such replica, or no such server')
    return proxy
  }
}
