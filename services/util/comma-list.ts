/** The items of a text that lists them, separated by commas. */
export function commaList (text = ''): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
