import {
  api,
  array,
  bool,
  int16,
  int32,
  int8,
  nullable,
  or,
  since,
  string,
  struct,
  tagged,
  uuid,
} from '../codec/shape.ts'

export const createTopicsApi = api({
  key: 19,
  name: 'CreateTopics',
  versions: [2, 7],
  flexible: 5,
  request: struct({
    topics: array(
      struct({
        name: string,
        numPartitions: int32,
        replicationFactor: int16,
        assignments: array(struct({ partitionIndex: int32, brokerIds: array(int32) })),
        configs: array(struct({ name: string, value: nullable(string) })),
      }),
    ),
    timeoutMs: or(60000, int32),
    validateOnly: bool,
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    topics: array(
      struct({
        name: string,
        topicId: since(7, uuid),
        errorCode: int16,
        errorMessage: nullable(string),
        numPartitions: since(5, or(-1, int32)),
        replicationFactor: since(5, or(-1, int16)),
        configs: since(
          5,
          nullable(
            array(
              struct({
                name: string,
                value: nullable(string),
                readOnly: bool,
                configSource: or(-1, int8),
                isSensitive: bool,
              }),
            ),
          ),
        ),
        topicConfigErrorCode: since(5, tagged(0, int16)),
      }),
    ),
  }),
})
