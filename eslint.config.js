/**
 * The house style (neostandard), and which folder may know which: server → app → plugins, routes →
 * services → schemas.
 */
import neostandard, { plugins, resolveIgnoresFromGitignore } from 'neostandard'

/** One forbidden kind of import; `types` says that its types may be imported all the same. */
const forbid = (regex, message, types = false) => ({ regex, message, allowTypeImports: types })

const extension = forbid('^\\.{1,2}/(?!.*\\.(?:ts|mjs|json)$)', 'Relative imports end in .ts.')
const process = forbid(
  '^(?:node:)?process$',
  'Only config.ts reads the environment; server.ts uses the global `process`.'
)
const ioredis = forbid(
  '^(?:ioredis|@fastify/redis)(?:/|$)',
  'Only plugins/redis.ts and the Redis files in services/ know ioredis.'
)
const fastify = forbid(
  '^(?:fastify|fastify-plugin|@fastify/.+)(?:/|$)',
  'Services and schemas do not know Fastify.'
)
const tools = forbid(
  '^(?:\\.{1,2}/)+(?:test|bench|scripts|dist)/',
  'Sources do not use tests, benches or scripts.'
)
const upwards = forbid(
  '^(?:\\.{1,2}/)+(?:app|server|shell)\\.ts$',
  'Only app.ts imports shell.ts, only server.ts imports app.ts, and nothing imports server.ts.'
)
const config = forbid(
  '^(?:\\.{1,2}/)+config\\.ts$',
  'Settings are given as arguments or read from `app.config`.'
)
const configValues = { ...config, allowTypeImports: true }
const pluginFiles = forbid(
  '^(?:\\.{1,2}/)+plugins/',
  'Routes and services reach plugins through the Fastify instance, or not at all.'
)
const packages = forbid('^(?!\\.|@sinclair/typebox$)', 'Schemas import schemas and TypeBox only.')
const routeFiles = forbid('^(?:\\.{1,2}/)+routes/', 'Only shell.ts imports routes.')
const serviceFiles = forbid('^(?:\\.{1,2}/)+services/', 'Schemas import schemas only.')
const stores = forbid(
  '/(?:[^/]*-store|(?:redis|memory)-[^/]*|executor|[^/]*client|[^/]*-(?:monitor|source))\\.ts$',
  'Routes reach stores and clients through the Fastify instance.',
  true
)

/** The direction rules of some files. */
function directions (files, patterns, ignores = []) {
  return {
    files,
    ignores,
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: [extension, ...patterns] }]
    }
  }
}

const inServices = [process, fastify, tools, upwards, config, pluginFiles, routeFiles]
const inPlugins = [process, tools, upwards, configValues, routeFiles]
const redisFiles = ['services/redis/**/*.ts', 'services/**/redis/**/*.ts', 'services/**/redis-*.ts']
const sources = ['*.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'services/**/*.ts', 'schemas/**/*.ts']

export default [
  ...neostandard({ ts: true, noJsx: true, ignores: resolveIgnoresFromGitignore() }),
  {
    rules: {
      '@stylistic/max-len': ['error', { code: 100, ignoreUrls: true, ignoreRegExpLiterals: true }],
      'no-void': ['error', { allowAsStatement: true }],
      camelcase: 'off' // the wire is snake_case
    }
  },
  {
    files: [...sources, 'scripts/**'],
    rules: {
      'max-lines': ['error', 250],
      'max-lines-per-function': ['error', 40]
    }
  },
  // A route registrar lists all routes of its file.
  { files: ['routes/**/*.ts'], rules: { 'max-lines-per-function': 'off' } },
  {
    files: sources,
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }
    },
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ImportExpression',
          message: 'Imports stand at the top, where the direction rules see them.'
        }
      ]
    }
  },
  {
    files: sources,
    ignores: ['config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only config.ts reads the environment.' }
      ]
    }
  },
  directions(['test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'], []),
  directions(['server.ts'], [ioredis, tools]),
  directions(['app.ts', 'config.ts', 'shell.ts', 'welcome.ts'], [process, ioredis, tools]),
  directions(['plugins/**/*.ts'], [...inPlugins, ioredis], ['plugins/redis.ts']),
  directions(['plugins/redis.ts'], inPlugins),
  directions(['routes/**/*.ts'], [process, ioredis, tools, upwards, config, pluginFiles, stores]),
  directions(['services/**/*.ts'], [...inServices, ioredis], redisFiles),
  directions(redisFiles, inServices),
  directions(
    ['schemas/**/*.ts'],
    [packages, tools, upwards, config, pluginFiles, routeFiles, serviceFiles]
  )
]
