/** Every operation that the service has. */
import type { Handlers } from '../call.ts'
import { channelOperations } from './channels.ts'
import { consumerOperations } from './consumers.ts'
import { queueOperations } from './queues.ts'
import { recordOperations } from './records.ts'
import { shardOperations } from './shards.ts'
import { streamOperations } from './streams.ts'
import { tagOperations } from './tags.ts'

export const handlers: Handlers = {
  ...streamOperations,
  ...shardOperations,
  ...recordOperations,
  ...consumerOperations,
  ...tagOperations,
  ...queueOperations,
  ...channelOperations,
}
