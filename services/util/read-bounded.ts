/** Reads what another service answers, but not without end. */

/**
 * A body as text.
 * @param most - the largest body that is taken, in bytes; the rest of a larger one is not read
 * @throws Error if it is larger
 */
export async function readBounded (
  body: AsyncIterable<Uint8Array> | null,
  most: number
): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > most) throw new Error(`the answer has more than ${most} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
