/** The forms that settings take: texts, flags, optional values, and patterns that several share. */
import { Type, type TSchema } from '@sinclair/typebox'

const host = '(\\[[0-9a-fA-F:]+\\]|[^,:\\s]+):\\d{1,5}'
const origin = 'https?://[^\\s,/*?#@]+'
const url = 'https?://[^,\\s]+'

/** One or more of a pattern, separated by commas. */
const list = (one: string) => `^\\s*${one}(\\s*,\\s*${one})*\\s*$`

/** `host:port` pairs, separated by commas. An IPv6 address stands in brackets. */
export const HOST_LIST = list(host)

/** Origins as a browser sends them (RFC 6454, 6.2), separated by commas: no path, no wildcard. */
export const ORIGIN_LIST = list(origin)

/** HTTP URLs, separated by commas. */
export const URL_LIST = list(url)

/** A setting that is text. */
export const text = (description: string, options = {}) => Type.String({ description, ...options })

/** A setting that is true or false, and its default. */
export const flag = (description: string, value: boolean) =>
  Type.Boolean({ description, default: value })

/** A setting that may be left out. */
export const optional = <T extends TSchema>(schema: T) => Type.Optional(schema)
