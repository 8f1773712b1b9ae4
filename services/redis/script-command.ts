/**
 * A script call as one text, made in one go. ioredis' own command for a script copies, checks and measures its words in
 * several passes, and keeps the closures for it: with some twenty words that cost 9 µs a call, this 3 µs.
 */
import { Command } from 'ioredis'

/** `EVALSHA` or `EVAL`: what names the script is its digest or its text. */
export class ScriptCommand extends Command {
  #text: string
  #firstKey: string | undefined

  constructor (name: 'evalsha' | 'eval', script: string, keys: string[], args: Array<string | number>) {
    super(name, [], { replyEncoding: 'utf8' })
    let text = `*${3 + keys.length + args.length}\r\n${encode(name)}${encode(script)}${encode(String(keys.length))}`
    for (const key of keys) text += encode(key)
    for (const arg of args) text += encode(typeof arg === 'string' ? arg : String(arg))
    this.#text = text
    this.#firstKey = keys[0]
  }

  override toWritable (): string {
    return this.#text
  }

  /** By which a Cluster finds the slot. */
  override getKeys (): string[] {
    return this.#firstKey === undefined ? [] : [this.#firstKey]
  }
}

/** A word as a bulk string (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec/#bulk-strings). */
function encode (word: string): string {
  return `$${Buffer.byteLength(word)}\r\n${word}\r\n`
}
