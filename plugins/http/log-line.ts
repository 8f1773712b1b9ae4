/** Log lines: one line per entry, for every reader. */

/**
 * Characters that JSON may have as they are and that some readers take for a line break, or that
 * change how a terminal shows the rest of the line: DEL, C1 controls, U+2028 and U+2029, and what
 * cannot be seen, such as the marks that turn the direction of the text.
 */
const CONTROLS = /[\u007f-\u009f\p{Zl}\p{Zp}\p{Cf}]/gu

const BEYOND_ASCII = /[^\n -~]/

/** A JSON log line with such characters escaped, as JSON escapes others. */
export function escapeControls (line: string): string {
  return BEYOND_ASCII.test(line) ? line.replace(CONTROLS, escaped) : line
}

/** A character as JSON escapes it: one beyond U+FFFF in two halves. */
function escaped (character: string): string {
  return Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
  ).join('')
}
