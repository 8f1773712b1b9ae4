/**
 * Parses a large JSON object in slices, so that nobody waits long for it. Its members that are
 * lists or objects, such as the 20,000 sessions of a node report, are cut between their entries and
 * parsed some at a time; too many entries, or one that is too large, are refused before they are
 * parsed.
 */
import { turn } from '../../services/util/in-turns.ts'
import { endOfString } from './duplicate-keys.ts'

/** The most entries of one list and of one object, in a large body. */
export const MOST_ENTRIES = { '[': 20_000, '{': 100_000 }
/** The most characters of one entry, and of all that is not an entry. */
export const LONGEST_ENTRY = 64 * 1024
/** The most values of one entry, and of all that is no entry: commas, colons and brackets. */
const MOST_SIGNS = 500
/** About how many characters are looked at before others have their turn. */
const SLICE = 64 * 1024

const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a]
const [BRACKET, BRACKET_END, BRACE, BRACE_END] = [0x5b, 0x5d, 0x7b, 0x7d]
const CLOSERS = { '[': ']', '{': '}' }

/** Parses a text, and checks what came of it. @throws SyntaxError, ServiceError */
export type ParseText = (text: string) => unknown

/** A large body that is not taken: it is not JSON, or has too much of something. */
export class LargeBodyError extends Error {
  override name = 'LargeBodyError'
}

/** A member that is a list or an object, as far as it has been read. */
interface Container {
  name: string
  opener: '[' | '{'
  entries: number
  value: unknown[] | Record<string, unknown>
  /** Where the entries begin that were not parsed yet, and the last of them. */
  from: number
  entryFrom: number
  signs: number
}

/**
 * The value of a text that is an object.
 * @param parse - parses each slice
 * @throws LargeBodyError, and what `parse` throws
 */
export async function parseLarge (text: string, parse: ParseText): Promise<unknown> {
  const reader = new LargeJson(text, parse)
  while (reader.next()) await turn()
  return reader.value()
}

class LargeJson {
  #text: string
  #parse: ParseText
  #at = 0
  #depth = 0
  #signs = 0
  /** The text without the entries of its containers. */
  #skeleton = ''
  #skeletonFrom = 0
  #lastString = ''
  #open: Container | undefined
  #read: Container[] = []

  constructor (text: string, parse: ParseText) {
    this.#text = text
    this.#parse = parse
  }

  /** Looks at one slice; false when there is no more. */
  next (): boolean {
    const end = Math.min(this.#at + SLICE, this.#text.length)
    while (this.#at < end) {
      const code = this.#text.charCodeAt(this.#at)
      if (code === QUOTE) this.#string()
      else this.#sign(code)
      this.#at++
    }
    if (this.#open !== undefined) this.#check(this.#open)
    return this.#at < this.#text.length
  }

  /** What was read. */
  value (): unknown {
    this.#addToSkeleton(this.#text.length)
    const root = this.#parse(this.#skeleton) as Record<string, unknown>
    if (this.#depth !== 0 || this.#open !== undefined || typeof root !== 'object') throw invalid()
    for (const { name, value } of this.#read) {
      Object.defineProperty(root, name, { value, enumerable: true, writable: true })
    }
    return root
  }

  #string (): void {
    // Neither an entry nor what is around them may have a longer text.
    const end = endOfString(this.#text, this.#at, this.#at + LONGEST_ENTRY)
    if (end === -1) throw new LargeBodyError('is not valid JSON, or has a text that is too long')
    if (this.#depth === 1) this.#lastString = this.#text.slice(this.#at, end + 1)
    this.#at = end
  }

  #sign (code: number): void {
    if (code === BRACKET || code === BRACE) {
      this.#depth++
      if (this.#depth === 1 && code === BRACKET) throw new LargeBodyError('must be object')
      if (this.#depth === 2) this.#begin(code === BRACKET ? '[' : '{')
    } else if (code === BRACKET_END || code === BRACE_END) {
      this.#depth--
      if (this.#depth === 1) this.#end(code)
    } else if (code !== COMMA && code !== COLON) return
    const counted = this.#open ?? this
    if (counted instanceof LargeJson) this.#count()
    else counted.signs++
    if (code === COMMA && this.#depth === 2 && this.#open !== undefined) this.#entry(this.#open)
  }

  #count (): void {
    if (++this.#signs > MOST_SIGNS) throw new LargeBodyError('has too many members')
  }

  #begin (opener: '[' | '{'): void {
    this.#addToSkeleton(this.#at + 1)
    const from = this.#at + 1
    const name = this.#lastString === '' ? '' : String(this.#parse(this.#lastString))
    const value = opener === '[' ? [] : {}
    this.#open = { name, opener, value, entries: 0, from, entryFrom: from, signs: 0 }
  }

  #entry (container: Container): void {
    this.#check(container)
    container.entries++
    container.signs = 0
    container.entryFrom = this.#at + 1
    if (container.entries >= MOST_ENTRIES[container.opener]) {
      const { entries, name } = container
      throw new LargeBodyError(`has more than ${entries} entries in ${shown(name)}`)
    }
    if (this.#at - container.from < SLICE) return
    this.#parseEntries(container)
    container.from = this.#at + 1
  }

  #check ({ name, entryFrom, signs }: Container): void {
    if (signs > MOST_SIGNS || this.#at - entryFrom > LONGEST_ENTRY) {
      throw new LargeBodyError(`has an entry that is too large in ${shown(name)}`)
    }
  }

  #end (code: number): void {
    const container = this.#open
    const closer = container === undefined ? '' : CLOSERS[container.opener]
    if (container === undefined || closer.charCodeAt(0) !== code) throw invalid()
    this.#check(container)
    this.#parseEntries(container)
    this.#read.push(container)
    this.#open = undefined
    this.#skeletonFrom = this.#at
  }

  #parseEntries ({ opener, value, entries, from }: Container): void {
    const text = this.#text.slice(from, this.#at)
    // Behind a comma there has to be an entry.
    if (text.trim() === '' && entries > 0) throw invalid()
    const parsed = this.#parse(`${opener}${text}${CLOSERS[opener]}`) as typeof value
    if (Array.isArray(value)) {
      for (const one of parsed as unknown[]) value.push(one)
      return
    }
    for (const [name, one] of Object.entries(parsed)) {
      if (Object.hasOwn(value, name)) throw new LargeBodyError('names a member twice')
      value[name] = one
    }
  }

  #addToSkeleton (end: number): void {
    // It is cut between tokens, so that blanks at its ends mean nothing.
    this.#skeleton += this.#text.slice(this.#skeletonFrom, end).trim()
    this.#skeletonFrom = end
    if (this.#skeleton.length > LONGEST_ENTRY) {
      throw new LargeBodyError('has a text that is too long')
    }
  }
}

/** A name as an answer repeats it. */
function shown (name: string): string {
  return name.slice(0, 64)
}

function invalid (): LargeBodyError {
  return new LargeBodyError('is not valid JSON')
}
