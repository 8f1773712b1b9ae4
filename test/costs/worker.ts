/** The service, and what its requests cost it, in a thread that has nothing else. */
import { parentPort, workerData } from 'node:worker_threads'
import { buildApp } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import { PATIENT, TEST_SECRET, connected, listen, tokenFor } from '../helpers/app.ts'
import { measure } from './meter.ts'
import { REQUESTS } from './requests.ts'

const { redisUrl, only = '' } = workerData as { redisUrl: string; only: string | undefined }

const settings = loadConfig({
  REDIS_URL: redisUrl,
  ...PATIENT,
  LOG_LEVEL: 'silent',
  GHOST_SWEEP_INTERVAL_SECONDS: '0',
  MAX_SESSIONS_PER_USER: '3',
  SESSION_LIMIT_ACTION: 'terminate_oldest',
  ADMIN_USERNAME: 'root',
  ADMIN_PASSWORD_HASH: `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
})
const app = await buildApp(settings, TEST_SECRET)
const port = Number(new URL(await listen(app)).port)
await connected(app)
for (const request of REQUESTS.filter(({ what }) => new RegExp(only).test(what))) {
  const { who } = request
  const token = who === 'nobody' ? null : tokenFor(app, { sub: who, role: who })
  parentPort?.postMessage(await measure(app, port, token, request))
}
await app.close()
