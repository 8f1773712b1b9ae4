/**
 * A keep-alive HTTP/1.1 connection that reads just enough of each answer: its status and where it
 * ends.
 */
import { connect, type Socket } from 'node:net'

/** What a connection reports. */
export interface ConnectionEvents {
  answer: (status: number, sentAtMs: number, answer: Buffer) => void
  broken: (reason: Error) => void
}

/** Sends whole requests and splits what comes back into answers. */
export class Connection {
  #socket: Socket
  #rest: Buffer | undefined
  #sentAtMs: number[] = []
  #events: ConnectionEvents

  constructor (port: number, events: ConnectionEvents) {
    this.#events = events
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.on('data', (chunk) => this.#read(chunk))
    this.#socket.on('error', events.broken)
    this.#socket.on('close', () => events.broken(new Error('the server closed a connection')))
  }

  /** Requests that are not answered yet. */
  get underWay (): number {
    return this.#sentAtMs.length
  }

  /** Sends a request; its answer is reported together with the time given here. */
  send (request: string, atMs: number): void {
    this.#sentAtMs.push(atMs)
    this.#socket.write(request, 'latin1')
  }

  /** Closes it; nothing is reported after that. */
  close (): void {
    this.#socket.removeAllListeners()
    this.#socket.on('error', () => {})
    this.#socket.destroy()
  }

  #read (chunk: Buffer): void {
    let data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      const end = answerEnd(data)
      if (end === undefined) break
      const answer = data
      data = data.subarray(end)
      this.#events.answer(
        Number(answer.toString('latin1', 9, 12)),
        this.#sentAtMs.shift() ?? NaN,
        answer.subarray(0, end)
      )
    }
    this.#rest = data.length === 0 ? undefined : data
  }
}

/** Where the first answer in the data ends, if all of it has arrived. */
function answerEnd (data: Buffer): number | undefined {
  const headEnd = data.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = data.toString('latin1', 0, headEnd)
  const at = head.indexOf('content-length: ')
  if (at === -1) throw new Error(`an answer without content-length: ${head}`)
  const end = headEnd + 4 + Number.parseInt(head.slice(at + 16), 10)
  return end <= data.length ? end : undefined
}
