/** Every view of the sessions that are up, as one replica shows them, and whether they agree. */
import { type Look, listed, sessionIds } from '../helpers/audit.ts'

/** Sessions as callers know them. */
export interface Expected {
  id: string
  username: string
  node: string | undefined
  /** Whether it has to be there, may not be, or may be or not. */
  standing: 'up' | 'gone' | 'either'
}

/** One view: which ids it shows, or how many, and which sessions it is about. */
export interface View {
  name: string
  ids?: string[]
  count?: number
  isAbout: (session: Expected) => boolean
  /** Why it cannot be taken for what Redis says. */
  trouble?: string
}

/** What a view says that is not so. */
export interface Wrong {
  view: string
  what: string
  id?: string
}

/** Asks a replica for every view of these sessions, and of all others that it knows. */
export async function readViews (look: Look, sessions: Expected[]): Promise<View[]> {
  const users = [...new Set(sessions.map(({ username }) => username))]
  const nodes = [...new Set(sessions.flatMap(({ node }) => node ?? []))]
  const views: View[] = [
    { name: 'list of all', ids: await listed(look, ''), isAbout: () => true }
  ]
  for (const user of users) views.push(...(await viewsOfUser(look, user)))
  for (const node of nodes) {
    const ids = await listed(look, `node=${node}`)
    views.push({ name: `list of ${node}`, ids, isAbout: (one) => one.node === node })
  }
  const { counts } = (await look('GET', '/api/sessions/counts')).body
  for (const user of users) {
    const isAbout = ({ username }: Expected) => username === user
    views.push({ name: `counts: ${user}`, count: counts[user] ?? 0, isAbout })
  }
  for (const session of sessions) views.push(await viewById(look, session))
  return views
}

async function viewsOfUser (look: Look, user: string): Promise<View[]> {
  const isAbout = ({ username }: Expected) => username === user
  const count = (await look('GET', `/api/sessions/counts/${user}`)).body
  const shown = (await look('GET', `/api/sessions/users/${user}`)).body
  const isStale = 'stale_ms' in count || 'stale_ms' in shown
  return [
    { name: `list of ${user}`, ids: await listed(look, `username=${user}`), isAbout },
    {
      name: `count of ${user}`,
      count: count.count,
      isAbout,
      ...(isStale && { trouble: 'is stale' })
    },
    { name: `${user} in full`, ids: sessionIds(shown.sessions), isAbout },
    { name: `the count of ${user} in full`, count: shown.count, isAbout }
  ]
}

async function viewById (look: Look, { id, username }: Expected): Promise<View> {
  const { status, body } = (await look('GET', `/api/sessions/${id}`)) as Awaited<
    ReturnType<Look>
  > & { status: number }
  const isOdd = status !== 404 && (status !== 200 || body.degraded === true)
  const isOthers = status === 200 && body.username !== username
  return {
    name: 'by its id',
    ids: status === 200 ? [id] : [],
    isAbout: (one) => one.id === id,
    ...(isOdd && { trouble: `is ${status} ${JSON.stringify(body)}` }),
    ...(isOthers && { trouble: `is of ${body.username}` })
  }
}

/** Compares views with what callers were told. */
export function wrongIn (views: View[], sessions: Expected[]): Wrong[] {
  const known = new Map(sessions.map((session) => [session.id, session]))
  return views.flatMap(({ name: view, ids, count, isAbout, trouble }) => {
    const wrong: Wrong[] = trouble === undefined ? [] : [{ view, what: trouble }]
    const about = sessions.filter(isAbout)
    const up = about.filter(({ standing }) => standing === 'up')
    const least = up.length
    const most = least + about.filter(({ standing }) => standing === 'either').length
    if (count !== undefined && (count < least || count > most)) {
      wrong.push({ view, what: `is ${count}, not ${least}${most > least ? ` to ${most}` : ''}` })
    }
    if (ids === undefined) return wrong
    const shown = new Set(ids)
    if (shown.size < ids.length) wrong.push({ view, what: 'shows a session twice' })
    for (const { id } of up) if (!shown.has(id)) wrong.push({ view, what: 'lacks it', id })
    for (const id of shown) {
      const one = known.get(id)
      if (one === undefined || one.standing === 'gone' || !isAbout(one)) {
        wrong.push({ view, what: 'shows it', id })
      }
    }
    return wrong
  })
}
