/** What hostile requests get: the corpus of test/hostile, theme by theme. */
import t from 'tap'
import { authorisation } from './authorisation.ts'
import { checkTheme } from './check-theme.ts'
import { http } from './http.ts'
import { limitBodies } from './limits.ts'
import { sessions } from './sessions.ts'
import { tokenCases } from './tokens.ts'
import { usernames } from './usernames.ts'

const themes = { usernames, limits: limitBodies, sessions, tokens: tokenCases, authorisation, http }

for (const [theme, cases] of Object.entries(themes)) {
  t.test(`${theme}: ${cases.length} requests`, async (t) => await checkTheme(t, cases))
}
