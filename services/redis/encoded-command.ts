/**
 * A command as one text, made in one go. ioredis' own command copies, checks and measures its words in several passes, and
 * keeps the closures for it: for a script call with some twenty words that costs 9 µs, this 3 µs.
 */
import { Command } from 'ioredis'

/** A command that is answered with text, numbers or lists of them. */
export class EncodedCommand extends Command {
  #text: string
  #firstKey: string | undefined

  /**
   * @param words - all that follows the name
   * @param firstKey - by which a Cluster finds the slot
   */
  constructor (name: string, words: Array<string | number>, firstKey: string | undefined) {
    super(name, [], { replyEncoding: 'utf8' })
    let text = `*${1 + words.length}\r\n${encode(name)}`
    for (const word of words) text += encode(typeof word === 'string' ? word : String(word))
    this.#text = text
    this.#firstKey = firstKey
  }

  override toWritable (): string {
    return this.#text
  }

  override getKeys (): string[] {
    return this.#firstKey === undefined ? [] : [this.#firstKey]
  }
}

/** A word as a bulk string (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/#bulk-strings). */
function encode (word: string): string {
  return `$${Buffer.byteLength(word)}\r\n${word}\r\n`
}
