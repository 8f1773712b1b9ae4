/** Lists in a body whose items are checked one by one: an invalid one makes no other fail. */
import type { TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { mapInTurns } from '../services/util/in-turns.ts'

/** What is wrong with an item, and how it names its session, if it does. */
export interface InvalidItem {
  session_id: string | null
  username: string | null
  detail: string
}

/** An item that is valid, or what is wrong with it. */
export type Checked<T> = { item: T } | { invalid: InvalidItem }

/** The longest name that an answer repeats of an item that is not valid. */
const LONGEST_NAME = 512

/** Checks each item against a schema of bodies. */
export async function checkItems<T> (
  request: FastifyRequest,
  items: unknown[],
  schema: TSchema
): Promise<Array<Checked<T>>> {
  const isValid = request.compileValidationSchema(schema, 'body')
  return await mapInTurns(items, (item) => {
    if (isValid(item)) return { item: item as T }
    const [error] = isValid.errors ?? []
    const where = error === undefined ? '' : `${error.instancePath} `.trimStart()
    const { session_id: id, username } = (item ?? {}) as Record<string, unknown>
    const detail = `${where}${error?.message ?? 'is not valid'}`
    return { invalid: { session_id: nameOf(id), username: nameOf(username), detail } }
  })
}

/** The items that are valid. */
export function validItems<T> (checked: Array<Checked<T>>): T[] {
  return checked.flatMap((one) => ('item' in one ? [one.item] : []))
}

/** Puts the results of valid items back between the others, in the order of the request. */
export function inOrder<T, R, I> (
  checked: Array<Checked<T>>,
  results: R[],
  ofInvalid: (invalid: InvalidItem) => I
): Array<R | I> {
  let next = 0
  return checked.map((one) => ('item' in one ? (results[next++] as R) : ofInvalid(one.invalid)))
}

function nameOf (value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, LONGEST_NAME) : null
}
