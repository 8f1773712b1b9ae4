/** deploy/kubernetes.yaml: Pod Security "restricted", and times and sizes that fit. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { SettingsSchema } from '../../schemas/settings.ts'

const root = new URL('../../', import.meta.url)
const manifest = readFileSync(new URL('deploy/kubernetes.yaml', root), 'utf8')
const [deployment = ''] = manifest.split(/^---$/m).filter((one) => /^kind: Deployment$/m.test(one))

/** A number of the manifest. */
const number = (pattern: RegExp) => Number(pattern.exec(deployment)?.[1])

t.test('the pod passes Pod Security "restricted"', async (t) => {
  for (const line of [
    'runAsNonRoot: true',
    'seccompProfile: { type: RuntimeDefault }',
    'allowPrivilegeEscalation: false',
    'readOnlyRootFilesystem: true',
    'capabilities: { drop: [ALL] }',
    'automountServiceAccountToken: false',
    'enableServiceLinks: false'
  ]) {
    t.match(deployment, new RegExp(`^ *${line.replace(/[[\]{}]/g, '\\$&')}$`, 'm'))
  }
  t.notMatch(deployment, /hostNetwork|hostPID|hostIPC|hostPath|privileged|runAsUser: 0/)
})

t.test('an unfilled secret is refused before anything is applied', async (t) => {
  const [, secret = ''] = /^ {2}JWT_SECRET: (.*)$/m.exec(manifest) ?? []
  t.notMatch(secret, /^"?(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"?$/)
  t.match(manifest, /^data:\n(?: {2}.*\n)*? {2}JWT_SECRET: /m, 'the API server decodes it')
  t.match(deployment, /maxUnavailable: 0/, 'and a pod that does not start replaces none')
})

t.test('stopping fits into the grace period', async (t) => {
  const drain = number(/SHUTDOWN_DRAIN_SECONDS, value: "(\d+)"/)
  const preStop = number(/preStop:\n.*setTimeout\(\(\) => \{\}, (\d+)\)/) / 1000
  t.ok(drain >= 5 && drain <= (SettingsSchema.properties.SHUTDOWN_DRAIN_SECONDS.maximum ?? 0))
  t.ok(preStop >= 5)
  t.ok(number(/terminationGracePeriodSeconds: (\d+)/) >= preStop + 10 + 5)
})

t.test('memory fits: the heap, one login, and Node itself', async (t) => {
  const heap = number(/--max-old-space-size=(\d+)/)
  t.ok(heap >= 256)
  t.ok(number(/limits: \{ memory: (\d+)Mi \}/) >= heap + 128 + 128)
})
