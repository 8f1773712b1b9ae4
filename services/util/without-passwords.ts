/** Takes passwords out of texts for the log. */

/** A text in which no URL has a user or a password. */
export function withoutPasswords (text: string): string {
  return text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s"'<>]*@/gi, '$1***@')
}
