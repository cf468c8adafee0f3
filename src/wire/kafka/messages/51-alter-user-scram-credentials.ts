import { api, array, bytes, int16, int32, int8, nullable, or, string, struct } from '../codec/shape.ts'

export const alterUserScramCredentialsApi = api({
  key: 51,
  name: 'AlterUserScramCredentials',
  versions: [0, 0],
  flexible: 0,
  request: struct({
    deletions: array(struct({ name: string, mechanism: int8 })),
    upsertions: array(struct({ name: string, mechanism: int8, iterations: int32, salt: bytes, saltedPassword: bytes })),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    results: array(struct({ user: string, errorCode: int16, errorMessage: nullable(string) })),
  }),
})
