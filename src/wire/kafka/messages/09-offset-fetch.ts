import {
  api,
  array,
  bool,
  int16,
  int32,
  int64,
  nullable,
  or,
  since,
  string,
  struct,
  until,
  uuid,
} from '../codec/shape.ts'

export const offsetFetchApi = api({
  key: 9,
  name: 'OffsetFetch',
  versions: [1, 10],
  flexible: 6,
  request: struct({
    groups: since(
      8,
      array(
        struct({
          groupId: string,
          memberId: since(9, or(null, nullable(string))),
          memberEpoch: since(9, or(-1, int32)),
          topics: nullable(
            array(struct({ topicId: since(10, uuid), name: until(9, string), partitionIndexes: array(int32) })),
          ),
        }),
      ),
    ),
    groupId: until(7, string),
    topics: until(7, nullable(array(struct({ name: string, partitionIndexes: array(int32) })), 2)),
    requireStable: since(7, bool),
  }),
  response: struct({
    throttleTimeMs: since(3, or(0, int32)),
    groups: since(
      8,
      array(
        struct({
          groupId: string,
          topics: array(
            struct({
              topicId: since(10, uuid),
              name: until(9, string),
              partitions: array(
                struct({
                  partitionIndex: int32,
                  committedOffset: int64,
                  committedLeaderEpoch: or(-1, int32),
                  metadata: nullable(string),
                  errorCode: int16,
                }),
              ),
            }),
          ),
          errorCode: int16,
        }),
      ),
    ),
    topics: until(
      7,
      array(
        struct({
          name: string,
          partitions: array(
            struct({
              partitionIndex: int32,
              committedOffset: int64,
              committedLeaderEpoch: since(5, or(-1, int32)),
              metadata: nullable(string),
              errorCode: int16,
            }),
          ),
        }),
      ),
    ),
    errorCode: since(2, until(7, int16)),
  }),
})
