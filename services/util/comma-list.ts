/** The items of a comma-separated list, without empty ones. */
export function commaList (text = ''): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
