/** Every kind of system there is a connector for. What one stands on is loaded when it first runs. */
import { kafka } from './kafka/spec.ts'
import { eventhubs } from './eventhubs/spec.ts'
import type { Kind } from './kind.ts'
import { kinesis } from './kinesis/spec.ts'
import { mqtt } from './mqtt/spec.ts'
import { pubsub } from './pubsub/spec.ts'

export const kinds: readonly Kind[] = [kafka, mqtt, kinesis, pubsub, eventhubs]
