/** What is said about a setting that is wrong. */
import { SettingsSchema, type Settings } from '../../schemas/settings.ts'

/** Settings whose values are never shown, even when they are wrong. */
const SECRETS = /SECRET|PASSWORD|URL|ENDPOINTS|KEY|CERT|_CA$/

/** The longest value that is shown, in characters. */
const LONGEST_SHOWN = 80

/** A setting is wrong. The message is one line that names the variable and what it may be. */
export class ConfigError extends Error {}

/** The parts of a setting's schema that words are made of. */
interface Form {
  type?: string
  enum?: string[]
  minimum?: number
  maximum?: number
  maxLength?: number
  /** What a text must be, in words. */
  title?: string
  examples?: unknown[]
  default?: unknown
  description?: string
}

/** The schema of a setting. */
export function formOf (name: string): Form {
  return (SettingsSchema.properties as Record<string, Form>)[name] ?? {}
}

/** What a setting may be, in words and with an example. */
export function whatItMayBe (name: string): string {
  const form = formOf(name)
  if (form.enum !== undefined) return `must be one of ${form.enum.join(', ')}`
  if (form.type === 'boolean') return 'must be true or false'
  const example = form.examples?.[0] ?? form.default
  const such = example === undefined ? '' : `, such as ${String(example)}`
  if (form.type === 'integer') {
    return `must be a whole number from ${form.minimum} to ${form.maximum}${such}`
  }
  if (form.title !== undefined) return `must be ${form.title}${such}`
  return `must be a text of at most ${form.maxLength} characters${such}`
}

/**
 * The error of one setting.
 * @param value - is shown unless it may be a secret, or have a password in it
 */
export function wrong (name: keyof Settings, problem: string, value?: string): ConfigError {
  const hidden = value === undefined || SECRETS.test(name) || value.includes('@')
  const shown = hidden ? '' : `, not ${JSON.stringify(value.slice(0, LONGEST_SHOWN))}`
  return new ConfigError(`${name}: ${problem}${shown}. ${formOf(name).description ?? ''}`.trim())
}
