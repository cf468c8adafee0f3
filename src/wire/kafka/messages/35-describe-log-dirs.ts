import { api, array, bool, int16, int32, int64, nullable, or, since, string, struct } from '../codec/shape.ts'

export const describeLogDirsApi = api({
  key: 35,
  name: 'DescribeLogDirs',
  versions: [1, 5],
  flexible: 2,
  request: struct({ topics: nullable(array(struct({ topic: string, partitions: array(int32) }))) }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: since(3, int16),
    results: array(
      struct({
        errorCode: int16,
        logDir: string,
        topics: array(
          struct({
            name: string,
            partitions: array(
              struct({ partitionIndex: int32, partitionSize: int64, offsetLag: int64, isFutureKey: bool }),
            ),
          }),
        ),
        totalBytes: since(4, or(-1, int64)),
        usableBytes: since(4, or(-1, int64)),
        isCordoned: since(5, bool),
      }),
    ),
  }),
})
