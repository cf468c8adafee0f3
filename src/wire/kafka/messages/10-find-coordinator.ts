import { api, array, int16, int32, int8, nullable, or, since, string, struct, until } from '../codec/shape.ts'

export const findCoordinatorApi = api({
  key: 10,
  name: 'FindCoordinator',
  versions: [0, 6],
  flexible: 3,
  request: struct({ key: until(3, string), keyType: since(1, int8), coordinatorKeys: since(4, array(string)) }),
  response: struct({
    throttleTimeMs: since(1, or(0, int32)),
    coordinators: since(
      4,
      array(
        struct({
          key: string,
          nodeId: int32,
          host: string,
          port: int32,
          errorCode: int16,
          errorMessage: nullable(string),
        }),
      ),
    ),
    errorCode: until(3, int16),
    errorMessage: since(1, until(3, nullable(string))),
    nodeId: until(3, int32),
    host: until(3, string),
    port: until(3, int32),
  }),
})
