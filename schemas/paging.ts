/** How lists are paged: an opaque cursor and a count. */
import { Type } from '@sinclair/typebox'

/** The most entries that one page may have. */
export const MAX_PAGE = 1000

export const PageQuerySchema = Type.Object(
  {
    cursor: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_-]*$',
        maxLength: 12_000,
        description: 'The next_cursor of the previous page. Empty for the first page.'
      })
    ),
    count: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_PAGE,
        description:
          'The most entries to return. A page may have fewer: follow next_cursor until it is null.'
      })
    )
  },
  { additionalProperties: false }
)

/** One page of a list. `next_cursor` is null on the last page. */
export interface Page<T> {
  entries: T[]
  next_cursor: string | null
}

/** Which page of a list is requested. An empty cursor stands for the first. */
export interface PageRequest {
  cursor: string
  count: number
  /** Whether the caller has hung up, so that nobody waits for the page any more. */
  isGone?: () => boolean
}
