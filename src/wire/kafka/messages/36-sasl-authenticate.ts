import { api, bytes, int16, int64, nullable, or, since, string, struct } from '../codec/shape.ts'

export const saslAuthenticateApi = api({
  key: 36,
  name: 'SaslAuthenticate',
  versions: [0, 2],
  flexible: 2,
  request: struct({ authBytes: bytes }),
  response: struct({
    errorCode: int16,
    errorMessage: nullable(string),
    authBytes: bytes,
    sessionLifetimeMs: since(1, or(0, int64)),
  }),
})
