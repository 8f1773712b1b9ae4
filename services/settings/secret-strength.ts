/**
 * How hard a secret is to guess: an estimate, in bits, that counts what a guesser tries first for
 * little, and everything else as random. It is meant to tell a made secret from a thought-up one.
 */

/** The fewest bits that are taken. 32 random digits have 106, 32 random hexadecimal ones 128. */
export const MIN_SECRET_BITS = 72

/** The part of a secret that is looked at, in characters. What follows only adds to it. */
const LONGEST_MEASURED = 256

/**
 * What a guesser needs for one piece, in bits: a repetition or a run; a word of the list below, or
 * a year; any other word between separators; a short one; a separator that has occurred before.
 */
const COST = { pattern: 8, known: 6, word: 12, shortWord: 5, separator: 1 }

/** The shortest piece that counts as one: shorter ones occur by chance in a random text. */
const SHORTEST_PIECE = 4

/** Runs of keys and letters, to be found forwards and backwards. */
const RUNS = ['qwertyuiop', 'qwertzuiop', 'asdfghjkl', 'zxcvbnm', 'azertyuiop', '01234567890']

/** Words that secrets are thought up from, in small letters. */
export const WORDS =
  `access admin alice auth baseball base batman beef bits brown cafe babe call calls change changed
  character characters company config console dead default demo development develop docker dragon
  enough example feed ferry football foobar forever generate hello hmac iloveyou insecure insert
  jason json jumps lazy least length letmein limit limits local localhost long longer master minimum
  monkey must need never only openssl over password passwort phrase placeholder please princess
  private prod production public quick random redis replace root sample secret secrets secure
  security server service session sessions shadow shared signing sign simple some staging string
  strong sunshine superman super switch temporary temp testing tests test that this those token
  tokens user valid value very voice welcome with words word your`.split(/\s+/)

/** What often stands for a letter. */
const LEET = new Map([...'013457$@'].map((character, i) => [character, 'oieastsa'[i] ?? '']))

/** An estimate of how many bits a guesser has to guess. */
export function secretBits (secret: string): number {
  const text = secret.slice(0, LONGEST_MEASURED)
  const everySecond = (first: number) => [...text].filter((_, i) => i % 2 === first).join('')
  return Math.min(bitsOf(text), bitsOf(everySecond(0)) + bitsOf(everySecond(1)))
}

function bitsOf (text: string): number {
  const perCharacter = Math.log2(alphabetSize(text))
  let bits = 0
  for (let at = 0; at < text.length;) {
    const { length, cost } = pieceAt(text, at)
    bits += Math.min(cost, length * perCharacter)
    at += length
  }
  return Math.min(bits, text.length * Math.log2(Math.max(1, new Set(text).size)))
}

/** How many characters a guesser who tries each one has to try, judged by those that occur. */
function alphabetSize (text: string): number {
  if (/^[0-9a-f]*$/i.test(text)) return /[a-f]/i.test(text) ? 16 : 10
  const kinds: Array<[pattern: RegExp, size: number]> = [
    [/[0-9]/, 10],
    [/[a-z]/, 26],
    [/[A-Z]/, 26],
    [/[^0-9A-Za-z]/, 8]
  ]
  return kinds.filter(([pattern]) => pattern.test(text)).reduce((sum, [, size]) => sum + size, 0)
}

/** The piece that a guesser tries first at this place: the longest one, or one character. */
function pieceAt (text: string, at: number): { length: number; cost: number } {
  const pattern = Math.max(repeatAt(text, at), stepsAt(text, at), runAt(text, at))
  const isSeparator = /[\W_]/.test(text[at] ?? '') && text.indexOf(text[at] ?? '') < at
  const word = ownWordAt(text, at)
  return [
    { length: pattern >= SHORTEST_PIECE ? pattern : 0, cost: COST.pattern },
    { length: knownWordAt(text, at), cost: COST.known },
    { length: word, cost: word < SHORTEST_PIECE ? COST.shortWord : COST.word },
    { length: isSeparator ? 1 : 0, cost: COST.separator },
    { length: 1, cost: Infinity }
  ].reduce((best, one) => (one.length > best.length ? one : best))
}

/** How many characters from here on stood somewhere before. */
function repeatAt (text: string, at: number): number {
  let longest = 0
  for (let from = 0; from < at; from++) {
    let length = 0
    while (at + length < text.length && text[from + length] === text[at + length]) length++
    longest = Math.max(longest, length)
  }
  return longest
}

/** How many characters from here on follow each other in equal steps: `aaaa`, `abcd`, `9753`. */
function stepsAt (text: string, at: number): number {
  const step = text.charCodeAt(at + 1) - text.charCodeAt(at)
  if (!(Math.abs(step) <= 2)) return 1
  let length = 2
  while (text.charCodeAt(at + length) - text.charCodeAt(at + length - 1) === step) length++
  return length
}

/** How many characters from here on are neighbours on a keyboard. */
function runAt (text: string, at: number): number {
  const rest = text.slice(at, at + 12).toLowerCase()
  let longest = 0
  for (const run of RUNS.flatMap((one) => [one, [...one].reverse().join('')])) {
    const from = run.indexOf(rest[0] ?? ' ')
    if (from < 0) continue
    let length = 0
    while (length < rest.length && run[from + length] === rest[length]) length++
    longest = Math.max(longest, length)
  }
  return longest
}

/** The length of the longest known word or year that begins here, the usual disguises included. */
function knownWordAt (text: string, at: number): number {
  const rest = text.slice(at, at + 12).toLowerCase()
  const undisguised = rest.replace(/[013457$@]/g, (character) => LEET.get(character) ?? character)
  const lengths = WORDS.filter((word) => rest.startsWith(word) || undisguised.startsWith(word)).map(
    (word) => word.length
  )
  const isYear = /^(?:19|20)\d\d(?!\d)/.test(rest) && !/\d/.test(text[at - 1] ?? '')
  return Math.max(isYear ? 4 : 0, ...lengths)
}

/** The length of what stands between separators here and may be a word. */
function ownWordAt (text: string, at: number): number {
  if (/[A-Za-z]/.test(text[at - 1] ?? '')) return 0
  const word = /^(?:[A-Z]?[a-z]{1,12}|[A-Z]{1,12})(?![A-Za-z])/.exec(text.slice(at, at + 14))
  return word?.[0].length ?? 0
}
