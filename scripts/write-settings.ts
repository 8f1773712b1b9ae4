/** Writes .env.example and docs/settings.md from the schema of the settings. */
import { SettingsSchema } from '../schemas/settings.ts'
import { isProgram, writeOrCheck } from './generated-file.ts'

interface Setting {
  description: string
  type: 'string' | 'integer' | 'boolean'
  default?: string | number | boolean
  enum?: string[]
  minimum?: number
  maximum?: number
}

/** Headings, each before the setting that it begins with. */
const HEADINGS: Record<string, string> = {
  NODE_ENV: 'The process',
  REDIS_URL: 'Redis',
  OUTAGE_MODE: 'While Redis is away',
  ENABLE_SESSION_LIMITS: 'Limits',
  ETCD_ENDPOINTS: 'etcd',
  TRUSTED_PROXIES: 'Requests',
  SHUTDOWN_DRAIN_SECONDS: 'Stopping',
  JWT_SECRET: 'Tokens and logins'
}

const settings = Object.entries(SettingsSchema.properties) as unknown as Array<
  [name: string, setting: Setting]
>

/** What a setting takes, in a few words. */
function takes (setting: Setting): string {
  if (setting.enum !== undefined) return setting.enum.join(', ')
  if (setting.type === 'integer') return `${setting.minimum ?? ''} to ${setting.maximum ?? ''}`
  return setting.type === 'boolean' ? 'true, false' : 'text'
}

/** The text of .env.example: every setting, commented out, with its default. */
export function envExample (): string {
  const lines = [
    '# Every setting with its default. Copy this file to .env and change what you need.',
    '# Written by `npm run settings` from schemas/settings.ts; see docs/settings.md.'
  ]
  for (const [name, setting] of settings) {
    if (name in HEADINGS) lines.push('', `# --- ${HEADINGS[name]} ---`)
    lines.push(
      '',
      `# ${setting.description} [${takes(setting)}]`,
      `# ${name}=${setting.default ?? ''}`
    )
  }
  return `${lines.join('\n')}\n`
}

/** The text of docs/settings.md: one table a heading. */
export function settingsTable (): string {
  const lines = [
    '# Settings',
    '',
    'Settings are environment variables, or lines of a `.env` file in the working directory;',
    'the environment takes precedence. An empty value counts as not set. A setting that',
    'cannot be used stops the start with one line that names it. This page is written by',
    '`npm run settings` from `schemas/settings.ts`.'
  ]
  for (const [name, setting] of settings) {
    if (name in HEADINGS) {
      lines.push(
        '',
        `## ${HEADINGS[name]}`,
        '',
        '| setting | takes | default | meaning |',
        '| --- | --- | --- | --- |'
      )
    }
    const preset = setting.default === undefined ? '' : `\`${setting.default}\``
    const meaning = setting.description.replaceAll('|', '\\|')
    lines.push(`| \`${name}\` | ${takes(setting)} | ${preset} | ${meaning} |`)
  }
  return `${lines.join('\n')}\n`
}

if (isProgram(import.meta.url)) {
  writeOrCheck(
    { '.env.example': envExample(), 'docs/settings.md': settingsTable() },
    'npm run settings'
  )
}
