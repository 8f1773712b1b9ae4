/**
 * A twin that asks Redis as the service does, with one script call per admission, but the script
 * does nothing.
 */
import { loadConfig } from '../../config.ts'
import { connectRedis } from '../../services/redis/client.ts'
import { ANSWERS } from './answers.ts'
import { startTwin } from './build-twin.ts'

const client = connectRedis(loadConfig(), {})
await client.connect()
/** The words of the call: EVALSHA, the script, the number of keys, keys and arguments. */
const [, sha = '', keys = '', ...rest] = JSON.parse(process.env.SCRIPT_CALL ?? '[]') as string[]
const answer = ANSWERS['POST /api/sessions']

await startTwin(
  {
    'POST /api/sessions': async (_request, reply) => {
      if ((await client.evalsha(sha, Number(keys), ...rest)) !== 1) {
        throw new Error('the empty script did not answer')
      }
      reply.code(201)
      return answer?.body
    }
  },
  async () => {
    client.disconnect()
  }
)
