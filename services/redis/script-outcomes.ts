/** What the Lua scripts answer: the one table of outcome codes, for TypeScript and for Lua. */

/**
 * A code is the place of its outcome in this list. Those that renew.lua answers with are among the
 * first ten, because it answers with one digit for each session.
 */
const OUTCOMES = [
  'unknown',
  'admitted',
  'refreshed',
  'limit_reached',
  'conflict',
  'ended',
  'forbidden',
  'renewed',
  'reregistered',
  'unmet',
  'lost_data',
  'released',
  'restored',
  'noted',
  'stale_epoch',
  'spared',
  'incomplete',
  'room_made',
  'barred'
] as const

/** What came of a script call, or of one session in it. */
export type ScriptOutcome = (typeof OUTCOMES)[number]

/**
 * The outcome that a code stands for.
 * @throws Error for a code that is not in the table
 */
export function outcomeOf (code: number): ScriptOutcome {
  const outcome = OUTCOMES[code]
  if (outcome === undefined) throw new Error(`A script answered with the unknown code ${code}`)
  return outcome
}

/**
 * The table as Lua pieces: `outcomes` holds numbers, as in `local ADMITTED = 1`; `outcome-digits`
 * holds the same as text, for a script that puts many of them together.
 */
export const outcomePieces = {
  outcomes: luaTable((code) => String(code)),
  'outcome-digits': luaTable((code) => `'${code}'`)
}

function luaTable (write: (code: number) => string): string {
  return OUTCOMES.map((name, code) => `local ${name.toUpperCase()} = ${write(code)}`).join('\n')
}
