/**
 * Makes, lists and revokes API keys where the service keeps them:
 * `npm run --silent api-key -- create --name kamailio-1 --role switch --node k1 --days 365`,
 * `… -- list`, `… -- revoke ID`. A new key is printed once.
 */
import { ConfigError, loadConfig, readTlsFiles } from '../config.ts'
import { usesRedis } from '../plugins/redis.ts'
import { ApiKeyNameSchema, DEFAULT_API_KEY_DAYS } from '../schemas/api-keys.ts'
import { API_KEY_ID, makeApiKey } from '../services/auth/api-keys/api-key.ts'
import type { ApiKeyStore } from '../services/auth/api-keys/api-key-store.ts'
import { FileApiKeyStore } from '../services/auth/api-keys/file-api-key-store.ts'
import { RedisApiKeyStore } from '../services/auth/api-keys/redis-api-key-store.ts'
import { toTimestamp } from '../services/clock.ts'
import { ServiceError } from '../services/errors.ts'
import { connectRedis } from '../services/redis/client.ts'
import { RedisExecutor } from '../services/redis/executor.ts'
import { RedisKeys } from '../services/redis/keys.ts'
import { OptionError, readDays, readNode, readOptions, readRole } from './options.ts'

const USAGE =
  'Usage: api-key create --name NAME --role ROLE [--node NODE] [--days DAYS] | list | revoke ID'

/** Does what a command line asks for. @returns what to print */
type Command = (store: ApiKeyStore) => Promise<string>

/** Reads a command line, before anything is connected. @throws OptionError */
function readCommand ([verb, ...args]: string[]): Command {
  if (verb === 'create') return createCommand(args)
  if (verb === 'list' && args.length === 0) return list
  const [id = ''] = args
  if (verb === 'revoke' && args.length === 1 && new RegExp(`^${API_KEY_ID}$`).test(id)) {
    return async (store) => {
      if (await store.remove(id)) return `${id} revoked`
      throw new ServiceError('not_found', `there is no API key ${id}`)
    }
  }
  throw new OptionError(USAGE)
}

function createCommand (args: string[]): Command {
  const options = readOptions(args, ['name', 'role', 'node', 'days'])
  const { name = '' } = options
  if (!new RegExp(ApiKeyNameSchema.pattern ?? '', 'u').test(name)) {
    throw new OptionError('--name must have 1 to 64 letters, digits, spaces and ._@-')
  }
  const request = {
    name,
    role: readRole(options.role),
    node: readNode(options.node),
    days: readDays(options.days ?? String(DEFAULT_API_KEY_DAYS))
  }
  return async (store) => {
    const { text, key } = makeApiKey(request, Date.now())
    await store.add(key)
    return text
  }
}

async function list (store: ApiKeyStore): Promise<string> {
  const [read, uses] = await Promise.all([store.read(undefined), store.lastUses()])
  const rows = (read?.keys ?? []).map(({ id, name, role, node = '-', expiresMs }) => {
    const usedMs = uses.get(id)
    const used = usedMs === undefined ? '-' : toTimestamp(usedMs)
    return [id, name, role, node, toTimestamp(expiresMs), used]
  })
  const table = [['ID', 'NAME', 'ROLE', 'NODE', 'EXPIRES', 'LAST USED'], ...rows]
  const widths = table[0]?.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0))) ?? []
  return table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).join('\n')
}

/** Runs a command on the store that the settings name. */
async function run (command: Command): Promise<string> {
  const settings = loadConfig()
  if (!usesRedis(settings)) return await command(new FileApiKeyStore(settings.API_KEYS_FILE))
  const client = connectRedis(settings, readTlsFiles(settings, 'REDIS'))
  let failure: unknown
  client.on('error', (error: unknown) => {
    failure = error
  })
  try {
    await client.connect()
    const executor = new RedisExecutor(client, settings.REDIS_TIMEOUT_MS)
    const keys = new RedisKeys(settings.REDIS_KEY_PREFIX, executor.isCluster)
    return await command(new RedisApiKeyStore(executor, keys))
  } catch (error) {
    if (error instanceof ServiceError) throw error
    throw new ConfigError(`Redis: ${String(failure ?? error)}`)
  } finally {
    client.disconnect()
  }
}

try {
  console.log(await run(readCommand(process.argv.slice(2))))
} catch (error) {
  const isExpected = [OptionError, ConfigError, ServiceError].some((one) => error instanceof one)
  if (!isExpected) throw error
  console.error((error as Error).message)
  process.exitCode = 1
}
