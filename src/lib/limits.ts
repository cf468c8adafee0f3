/**
 * Every bound of the program, with its reason. Enforced before memory is taken. Sizes in bytes, times in milliseconds.
 */
export const limits = {
  /** Kafka's `message.max.bytes`: clients are configured for it. */
  batchBytes: 1_048_588,
  /** The largest batch that a topic may be configured to take. */
  batchBytesMax: 64 * 1024 * 1024,
  /** A Kafka request frame; Kafka's `socket.request.max.bytes`. */
  kafkaFrameBytes: 100 * 1024 * 1024,
  /** What one record batch may decompress to before it is read; bounds a bomb. */
  decompressedBytes: 128 * 1024 * 1024,
  /** Kafka's own longest topic name. */
  topicNameLength: 249,
  partitionsPerTopic: 10_000,
  recordHeaders: 1_000,
  /** JSON documents nested deeper are refused. */
  jsonDepth: 64,
  /** Body of one HTTP request that is not a stream. */
  httpBodyBytes: 16 * 1024 * 1024,
  /** One line of a streamed NDJSON body. */
  httpLineBytes: 1_048_588,
  /** Text of one SQL request. */
  sqlBytes: 1024 * 1024,
} as const
