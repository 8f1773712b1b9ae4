/** What hostile requests get: the corpus of test/hostile, theme by theme. */
import t from 'tap'
import { authorisation } from './hostile/authorisation.ts'
import { checkTheme } from './hostile/check-theme.ts'
import { http } from './hostile/http.ts'
import { limitBodies } from './hostile/limits.ts'
import { sessions } from './hostile/sessions.ts'
import { tokenCases } from './hostile/tokens.ts'
import { usernames } from './hostile/usernames.ts'

const themes = { usernames, limits: limitBodies, sessions, tokens: tokenCases, authorisation, http }

t.setTimeout(300_000)
for (const [theme, cases] of Object.entries(themes)) {
  t.test(`${theme}: ${cases.length} requests`, async (t) => await checkTheme(t, cases))
}
