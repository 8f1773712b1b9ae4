import { connect, type Socket } from 'node:net'

/** An answer, its body not parsed yet. */
export interface RawAnswer {
  status: number
  body: string
}

/** The request was not sent: nobody listened. */
export class NotSent extends Error {}

/**
 * How long an answer may take, in milliseconds; then the request counts as one without an answer.
 */
const PATIENCE_MS = 10_000

/** One keep-alive connection to a port of loopback, one request at a time. */
export class Connection {
  #port: number
  #headers: string
  #socket: Socket | undefined
  #settle: { resolve: (answer: RawAnswer) => void; reject: (error: Error) => void } | undefined
  #received = ''

  constructor (port: number, token: string) {
    this.#port = port
    this.#headers =
      `Host: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n` +
      'Content-Type: application/json\r\n'
  }

  /**
   * Sends a request. Rejects with NotSent where nobody listens, and with another error where there
   * is no answer.
   */
  async request (method: string, path: string, body: object): Promise<RawAnswer> {
    this.#socket ??= await this.#connect()
    const socket = this.#socket
    const json = JSON.stringify(body)
    return await new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      socket.write(
        `${method} ${path} HTTP/1.1\r\n${this.#headers}` +
          `Content-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`
      )
    })
  }

  /**
   * Cuts the connection, as a client does that gives up; a request that is under way has no answer
   * then.
   */
  abort (): void {
    this.#socket?.destroy()
  }

  async #connect (): Promise<Socket> {
    return await new Promise((resolve, reject) => {
      const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true })
      socket.once('connect', () => resolve(socket))
      socket.setTimeout(PATIENCE_MS, () => socket.destroy())
      socket.on('error', () => {})
      socket.on('data', (chunk) => this.#take(chunk.toString('latin1')))
      socket.on('close', () => {
        reject(new NotSent(`nobody listens on ${this.#port}`))
        if (this.#socket !== socket) return
        this.#socket = undefined
        this.#received = ''
        this.#settle?.reject(new Error('the connection was cut'))
        this.#settle = undefined
      })
    })
  }

  #take (text: string): void {
    this.#received += text
    const bodyAt = this.#received.indexOf('\r\n\r\n') + 4
    if (bodyAt < 4) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#received)?.[1] ?? 0)
    if (this.#received.length < bodyAt + length) return
    const answer = {
      status: Number(this.#received.slice(9, 12)),
      body: this.#received.slice(bodyAt, bodyAt + length)
    }
    this.#received = ''
    this.#settle?.resolve(answer)
    this.#settle = undefined
  }
}
