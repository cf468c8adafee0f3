import { api, array, int16, int32, int8, nullable, or, string, struct } from '../codec/shape.ts'

export const describeUserScramCredentialsApi = api({
  key: 50,
  name: 'DescribeUserScramCredentials',
  versions: [0, 0],
  flexible: 0,
  request: struct({ users: nullable(array(struct({ name: string }))) }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: nullable(string),
    results: array(
      struct({
        user: string,
        errorCode: int16,
        errorMessage: nullable(string),
        credentialInfos: array(struct({ mechanism: int8, iterations: int32 })),
      }),
    ),
  }),
})
