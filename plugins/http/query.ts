/** Reads queries. */
import { parse } from 'fast-querystring'

/**
 * The parameters of a query. A plus is a plus and not a space: clients write telephone numbers both
 * as `+49…` and as `%2B49…`, and no parameter of ours has a space.
 */
export function parseQuery (text: string): Record<string, unknown> {
  return parse(text.replaceAll('+', '%2B'))
}
