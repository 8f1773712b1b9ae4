/** The options of command-line programs that make tokens and keys. */
import { parseArgs } from 'node:util'
import { NodeNameSchema } from '../schemas/names.ts'
import { ROLES } from '../services/auth/permissions.ts'
import { canonicalName } from '../services/util/names.ts'

const NODE_NAME = new RegExp(NodeNameSchema.pattern ?? '', 'u')
const MAX_DAYS = 3650

/** An option is wrong. The message is one line that names it. */
export class OptionError extends Error {}

/**
 * The options of a command line, each a text.
 * @throws OptionError for an option that is not one of these names
 */
export function readOptions (args: string[], names: string[]): Record<string, string | undefined> {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
    return parseArgs({ args, options }).values as Record<string, string | undefined>
  } catch (error) {
    throw new OptionError((error as Error).message.split('\n')[0])
  }
}

/** The role that `--role` names. @throws OptionError */
export function readRole (role: string | undefined): string {
  if (role !== undefined && ROLES.has(role)) return role
  throw new OptionError(`--role must be one of ${[...ROLES.keys()].join(', ')}`)
}

/** The switch node that `--node` names, if any. @throws OptionError */
export function readNode (node: string | undefined): string | undefined {
  if (node === undefined || NODE_NAME.test(node)) return node && canonicalName(node)
  throw new OptionError('--node must be the name of a switch node')
}

/** The lifetime that `--days` names, in days. @throws OptionError */
export function readDays (days: string): number {
  if (/^\d{1,4}$/.test(days) && Number(days) >= 1 && Number(days) <= MAX_DAYS) return Number(days)
  throw new OptionError(`--days must be a whole number from 1 to ${MAX_DAYS}`)
}
