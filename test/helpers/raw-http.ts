import { type Socket, connect } from 'node:net'

/** An answer as it came over the wire. */
export interface RawAnswer {
  status: number
  head: string
  body: string
}

/**
 * Sends bytes to a port of loopback and returns what comes back until the other side ends the
 * connection, for 3 s at the most. Without an answer the status is 0.
 */
export async function sendRaw (
  port: number,
  ...chunks: Array<string | Buffer>
): Promise<RawAnswer> {
  const text = await new Promise<string>((resolve) => {
    let answer = ''
    const socket: Socket = connect(port, '127.0.0.1', () => {
      for (const chunk of chunks) socket.write(chunk)
    })
    socket.setTimeout(3000, () => socket.destroy())
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
  const [head = '', ...body] = text.split('\r\n\r\n')
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
    head,
    body: body.join('\r\n\r\n')
  }
}
