/** Writes the table of who may do what into docs/security.md, from the access table. */
import { readFileSync } from 'node:fs'
import { ACCESS, type Access } from '../services/auth/access-table.ts'
import { ROLES } from '../services/auth/permissions.ts'
import { isProgram, writeOrCheck } from './generated-file.ts'

const PATH = 'docs/security.md'
const BEGIN = '<!-- Written by `npm run permissions` from services/auth/access-table.ts. -->'
const END = '<!-- The end of what is written. -->'

/** The text of docs/security.md with the table in its place. */
export function withPermissions (text: string): string {
  const [before, rest = ''] = text.split(BEGIN)
  return `${before}${BEGIN}\n\n${permissionTable()}\n\n${END}${rest.split(END)[1] ?? ''}`
}

/**
 * One row a route: what it needs, who has that, and what of it a caller that is bound to a switch
 * node can do.
 */
function permissionTable (): string {
  const rows = Object.entries(ACCESS).map(
    ([route, access]) => `| \`${route}\` | ${needs(access)} | ${roles(access)} | ${bound(access)} |`
  )
  return ['| route | needs | roles | bound to a node |', '| --- | --- | --- | --- |', ...rows].join(
    '\n'
  )
}

function needs (access: Access): string {
  if (access === 'public') return 'nothing'
  const permission = `\`${access.permission}\``
  if (access.ownData === undefined) return permission
  const place = access.ownData === 'params' ? 'path' : 'query'
  return `${permission}, or that the ${place}'s \`username\` is the caller's`
}

function roles (access: Access): string {
  if (access === 'public') return 'anybody'
  return [...ROLES]
    .filter(([, permissions]) => permissions.includes(access.permission))
    .map(([role]) => role)
    .join(', ')
}

function bound (access: Access): string {
  if (access === 'public' || !('changes' in access)) return ''
  return access.changes === 'any' ? 'refused' : 'its own sessions'
}

if (isProgram(import.meta.url)) {
  writeOrCheck({ [PATH]: withPermissions(readFileSync(PATH, 'utf8')) }, 'npm run permissions')
}
