/** The little of a logger that services use. */

/** Writes a line with its particulars. */
export interface Log {
  warn: (particulars: object, text: string) => void
  info: (particulars: object, text: string) => void
}
