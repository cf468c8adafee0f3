import { api, array, bool, int16, int32, int64, or, since, string, struct, until } from '../codec/shape.ts'

const topics = array(struct({ name: string, partitions: array(int32) }))
const results = array(
  struct({
    name: string,
    resultsByPartition: array(struct({ partitionIndex: int32, partitionErrorCode: int16 })),
  }),
)

export const addPartitionsToTxnApi = api({
  key: 24,
  name: 'AddPartitionsToTxn',
  versions: [0, 5],
  flexible: 3,
  request: struct({
    transactions: since(
      4,
      array(struct({ transactionalId: string, producerId: int64, producerEpoch: int16, verifyOnly: bool, topics })),
    ),
    v3AndBelowTransactionalId: until(3, string),
    v3AndBelowProducerId: until(3, int64),
    v3AndBelowProducerEpoch: until(3, int16),
    v3AndBelowTopics: until(3, topics),
  }),
  response: struct({
    throttleTimeMs: or(0, int32),
    errorCode: since(4, int16),
    resultsByTransaction: since(4, array(struct({ transactionalId: string, topicResults: results }))),
    resultsByTopicV3AndBelow: until(3, results),
  }),
})
