/** The login on the wire: a name and a password for a token. */
import { Type } from '@sinclair/typebox'

export const LoginSchema = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: 128, examples: ['admin'] }),
    password: Type.String({
      minLength: 1,
      maxLength: 1024,
      examples: ['correct horse battery staple']
    })
  },
  { $id: 'Login', additionalProperties: false }
)

export const LoggedInSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    token: Type.String({
      description: 'A JWT for the Authorization header.',
      examples: ['eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl']
    }),
    user: Type.Object({
      username: Type.String({ examples: ['admin'] }),
      role: Type.String({ examples: ['admin'] })
    }),
    expiresIn: Type.Integer({
      description: 'How many seconds the token is valid.',
      examples: [3600]
    })
  },
  { $id: 'LoggedIn' }
)
