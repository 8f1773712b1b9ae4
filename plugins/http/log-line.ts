/** Log lines: one line per entry, for every reader. */

/** Characters that JSON may have as they are and that some readers take for a line break. */
const CONTROLS = /[\u007f-\u009f\u2028\u2029]/g

/** A JSON log line with DEL, C1 controls (U+0085 too), U+2028 and U+2029 escaped. */
export function escapeControls (line: string): string {
  return line.replace(
    CONTROLS,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}
