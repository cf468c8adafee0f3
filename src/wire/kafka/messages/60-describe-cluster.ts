import { api, array, bool, int16, int32, int8, nullable, or, since, string, struct } from '../codec/shape.ts'

export const describeClusterApi = api({
  key: 60,
  name: 'DescribeCluster',
  versions: [0, 2],
  flexible: 0,
  request: struct({
    includeClusterAuthorizedOperations: bool,
    endpointType: since(1, or(1, int8)),
    includeFencedBrokers: since(2, bool),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: int16,
    errorMessage: or(null, nullable(string)),
    endpointType: since(1, or(1, int8)),
    clusterId: string,
    controllerId: or(-1, int32),
    brokers: array(
      struct({
        brokerId: int32,
        host: string,
        port: int32,
        rack: or(null, nullable(string)),
        isFenced: since(2, bool),
      }),
    ),
    clusterAuthorizedOperations: or(-2147483648, int32),
  }),
})
