/** How lists are paged: an opaque cursor and a count. */
import { Type } from '@sinclair/typebox'

/** The most entries one page may hold. */
export const MAX_PAGE = 1000

export const PageQuerySchema = Type.Object(
  {
    cursor: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_-]*$',
        maxLength: 12_000,
        description: 'What the page before gave as next_cursor; empty for the first page.'
      })
    ),
    count: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_PAGE,
        description:
          'The most entries wanted; a page may hold fewer, follow next_cursor until it is null.'
      })
    )
  },
  { additionalProperties: false }
)

/** One page of a list; `next_cursor` is null on the last. */
export interface Page<T> {
  entries: T[]
  next_cursor: string | null
}

/** Which part of a list is wanted; an empty cursor begins it. */
export interface PageRequest {
  cursor: string
  count: number
}
