import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { json } from 'node:stream/consumers'

/**
 * Asks for JSON over HTTP, or HTTPS with its own certificate authority: POST with a body, GET
 * without. Rejects when the answer is not 200 or takes more than 30 s.
 */
export async function requestJson (
  url: string,
  body: object | undefined,
  options: { ca?: Buffer; headers?: Record<string, string> } = {}
): Promise<Record<string, unknown>> {
  return await new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? requestTls : requestPlain
    const request = send(
      url,
      {
        ...options,
        method: body ? 'POST' : 'GET',
        agent: false,
        signal: AbortSignal.timeout(30_000)
      },
      (response) => {
        json(response).then((answer) => {
          if (response.statusCode === 200) resolve(answer as Record<string, unknown>)
          else {
            reject(new Error(`${url} answered ${response.statusCode}: ${JSON.stringify(answer)}`))
          }
        }, reject)
      }
    )
    request.on('error', reject)
    request.end(body && JSON.stringify(body))
  })
}
