/** A circle of imports, between files or folders, is found by `npm run lint`. */
import t from 'tap'

type Import = readonly [from: string, to: string]
type Grouping = (file: string) => string

const finder = new URL('../../scripts/check-circles.mjs', import.meta.url)
const { findCircle, partOf } = (await import(finder.href)) as {
  findCircle: (imports: readonly Import[], groupOf: Grouping) => Import[] | undefined
  partOf: Grouping
}
const itself = (file: string) => file

const down: Import[] = [
  ['server.ts', 'app.ts'],
  ['app.ts', 'routes/limits.ts'],
  ['routes/limits.ts', 'services/limits/limits-store.ts'],
  ['services/limits/limits-store.ts', 'services/limits/redis/store.ts'],
  ['services/limits/redis/store.ts', 'services/redis/keys.ts'],
  ['services/limits/limits-store.ts', 'services/errors.ts'],
  ['services/redis/keys.ts', 'services/errors.ts']
]

t.test('imports that lead down only are no circle', async (t) => {
  t.equal(findCircle(down, itself), undefined)
  t.equal(findCircle(down, partOf), undefined)
})

t.test('files that import each other are a circle', async (t) => {
  const back: Import = ['services/redis/keys.ts', 'services/limits/limits-store.ts']
  t.strictSame(findCircle([...down, back], itself), [...down.slice(3, 5), back])
})

t.test('folders may be a circle though no file is', async (t) => {
  const back: Import = ['services/redis/scan.ts', 'services/limits/limit-value.ts']
  t.equal(findCircle([...down, back], itself), undefined)
  t.strictSame(findCircle([...down, back], partOf), [down[4], back])
})
