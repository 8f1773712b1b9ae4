/** The packages that the service is made of. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'

const root = new URL('../../', import.meta.url)

t.test('the packages of the service', async (t) => {
  interface Locked {
    version?: string
    integrity?: string
    resolved?: string
    link?: boolean
    dev?: boolean
    optional?: boolean
    dependencies?: Record<string, string>
  }
  const read = (file: string) =>
    JSON.parse(readFileSync(new URL(file, root), 'utf8')) as Record<string, Record<string, unknown>>
  const lock = read('package-lock.json')
  const packages = Object.entries(lock.packages as Record<string, Locked>).filter(
    ([path]) => path !== ''
  )

  t.test('come from the registry, with an integrity hash', async (t) => {
    t.ok(packages.length > 400)
    t.same(
      packages.filter(([, { link }]) => link),
      [],
      'nothing is a link'
    )
    t.same(
      packages.filter(
        ([, { resolved = 'https://registry.npmjs.org/' }]) =>
          !resolved.startsWith('https://registry.npmjs.org/')
      ),
      []
    )
    t.same(
      packages.filter(([, { version = '' }]) => !/^\d+\.\d+\.\d+(?:-[\w.-]+)?$/.test(version)),
      [],
      'every version is one'
    )
    t.same(
      packages.filter(([, { integrity = '' }]) => !/^sha512-[\w+/]{86}==/.test(integrity)),
      [],
      'every content is known'
    )
    const asked = [lock.packages?.[''] as Locked, ...packages.map(([, one]) => one)].flatMap(
      ({ dependencies = {} }) => Object.values(dependencies)
    )
    t.same(
      asked.filter((wanted) => /^(?:git|http|file|link|github|[\w-]+\/[\w-]+)/.test(wanted)),
      [],
      'and asks for nothing else'
    )
  })

  t.test('have pinned versions and are listed by `npm run sbom`', async (t) => {
    const { dependencies = {} } = read('package.json') as { dependencies?: Record<string, string> }
    for (const [name, version] of Object.entries(dependencies)) {
      t.match(version, /^\d+\.\d+\.\d+$/, name)
    }
    const { bomFormat, components } = JSON.parse(
      execFileSync('npm', ['run', '--silent', 'sbom'], {
        cwd: root,
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024
      })
    ) as {
      bomFormat: string
      components: Array<{ name: string; version: string; properties?: Array<{ name: string }> }>
    }
    t.equal(bomFormat, 'CycloneDX')
    const needed = components.filter(
      ({ properties = [] }) =>
        !properties.some(({ name }) => name === 'cdx:npm:package:development')
    )
    const listed = new Set(needed.map(({ name, version }) => `${name}@${version}`))
    const missing = packages
      .filter(([, { dev, optional }]) => !dev && !optional)
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`)
      .filter((one) => !listed.has(one))
    t.same(missing, [], 'all that production needs is there')
    t.ok(
      components.length > needed.length && !needed.some(({ name }) => name === 'tap'),
      'what is for development is said to be'
    )
  })
})
