/** API keys on the wire. */
import { Type } from '@sinclair/typebox'
import { NodeNameSchema, TimestampSchema, nullable, stringEnum } from './names.ts'

/** The longest lifetime of a key, in days. */
export const MAX_API_KEY_DAYS = 3650
/** The lifetime of a key, in days, when none is given. */
export const DEFAULT_API_KEY_DAYS = 365

export const ApiKeyIdSchema = Type.String({
  pattern: '^[0-9a-f]{16}$',
  description: 'The id of an API key.',
  examples: ['3f9c0a5b7d21e846']
})

/** What a key is called, by whoever makes it. */
export const ApiKeyNameSchema = Type.String({
  pattern: '^[A-Za-z0-9._ @-]{1,64}$',
  description: 'What you call the key, such as the name of the switch that uses it.',
  examples: ['kamailio-1']
})

const RoleSchema = stringEnum(['admin', 'operator', 'switch', 'viewer'], {
  description: 'What the key may do.',
  examples: ['switch']
})

export const NewApiKeySchema = Type.Object(
  {
    name: ApiKeyNameSchema,
    role: RoleSchema,
    node: Type.Optional(NodeNameSchema),
    days: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_API_KEY_DAYS,
        description: `How many days the key is valid. The default is ${DEFAULT_API_KEY_DAYS}.`,
        examples: [DEFAULT_API_KEY_DAYS]
      })
    )
  },
  { $id: 'NewApiKey', additionalProperties: false }
)

const record = {
  id: ApiKeyIdSchema,
  name: Type.String({ examples: ['kamailio-1'] }),
  role: Type.String({ examples: ['switch'] }),
  node: nullable(Type.String({ examples: ['pbx-1'] })),
  created_at: TimestampSchema,
  expires_at: TimestampSchema
}

export const ApiKeyMadeSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    key: Type.String({
      description: 'The key. It is shown only now, and only its hash is kept.',
      examples: ['vfk_3f9c0a5b7d21e846_…']
    }),
    ...record
  },
  { $id: 'ApiKeyMade' }
)

export const ApiKeyListSchema = Type.Object(
  {
    keys: Type.Array(
      Type.Object({
        ...record,
        last_used_at: nullable(TimestampSchema, {
          description: 'Up to a minute late. Null for a key that has not been used.'
        })
      })
    ),
    next_cursor: nullable(Type.String({ examples: ['IjNmOWMwYTViN2QyMWU4NDYi'] }))
  },
  { $id: 'ApiKeyList' }
)

export const ApiKeyRevokedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    id: ApiKeyIdSchema,
    revoked: Type.Boolean({ description: 'False when there was no such key.', examples: [true] })
  },
  { $id: 'ApiKeyRevoked' }
)
