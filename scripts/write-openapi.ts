/** Writes docs/openapi.json: the API description of a service with all routes. */
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { isProgram, writeOrCheck } from './generated-file.ts'

/** A hash that no password matches: it is only there so that the login route is documented. */
const NO_PASSWORD = `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** The text of docs/openapi.json. */
export async function openapiText (): Promise<string> {
  const settings = loadConfig({
    LOG_LEVEL: 'silent',
    ADMIN_USERNAME: 'admin',
    ADMIN_PASSWORD_HASH: NO_PASSWORD
  })
  const app = await buildApp(settings, 'A secret that signs nothing at all.')
  await app.ready()
  const document = app.swagger()
  await app.close()
  return `${JSON.stringify(document, null, 2)}\n`
}

if (isProgram(import.meta.url)) {
  writeOrCheck({ 'docs/openapi.json': await openapiText() }, 'npm run openapi')
}
