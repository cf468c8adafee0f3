/**
 * Every bound of the program, with its reason. Enforced before memory is taken. Sizes in bytes, times in milliseconds.
 */
export const limits = {
  /** Sessions, subscriptions or receivers of a topic that a list of its readers names. */
  shownReaders: 1_000,
  /** Sessions of one page of a list. */
  shownMqttSessions: 1_000,
  /** Kafka's `message.max.bytes`: clients are configured for it. */
  batchBytes: 1_048_588,
  /** The largest batch that a topic may be configured to take. */
  batchBytesMax: 64 * 1024 * 1024,
  /** Connections that have not said who they are yet, where they have to: over all, and from one address. */
  kafkaStrangers: 1_000,
  kafkaStrangersPerAddress: 250,
  /** Time to say who one is. */
  kafkaAuthenticationMs: 30_000,
  /** A TLS handshake: time, and how many at once. */
  tlsHandshakeMs: 10_000,
  tlsHandshakes: 1_000,
  /** A token (JWT), and the keys of its issuer. */
  tokenLength: 16 * 1024,
  jwksBytes: 256 * 1024,
  saltBytes: 256,
  /** A Kafka request before the first valid one of its connection. */
  kafkaFirstFrameBytes: 1024 * 1024,
  /** Of one answer's records, whatever the client asks for; Kafka's `fetch.max.bytes`. */
  kafkaFetchBytes: 55 * 1024 * 1024,
  kafkaFetchWaitMs: 60_000,
  /**
   * Answers over all connections that their clients have not taken yet: what is left of it is shared out among the
   * requests under way, each of which may still take the smaller amount (and one batch).
   */
  kafkaAnswerBytes: 256 * 1024 * 1024,
  kafkaAnswerBytesMin: 64 * 1024,
  /** Where even the smaller amounts have come to so much, whoever takes nothing for longest is cut off. */
  kafkaOwedBytes: 512 * 1024 * 1024,
  /** Requests of one connection that are taken in and not answered; beyond it its socket is not read. */
  kafkaConnectionBytesInFlight: 32 * 1024 * 1024,
  kafkaConnectionRequestsInFlight: 1_000,
  /** The same over all connections, for large requests and for ordinary ones: a MiB of records, as clients send, and more. */
  kafkaBytesInFlight: 256 * 1024 * 1024,
  kafkaOrdinaryFrameBytes: 2 * 1024 * 1024,
  kafkaOrdinaryBytesInFlight: 128 * 1024 * 1024,
  /** So long may all of that be taken before requests that have not arrived as a whole are given up. */
  kafkaFullMs: 5_000,
  /** Requests of which less comes are given up sooner then. */
  kafkaFrameBytesPerSecond: 64 * 1024,
  /** Answers that a client does not fetch; beyond it its next request waits. */
  kafkaBacklogBytes: 4 * 1024 * 1024,
  /** Buffers that nobody holds, kept for those who take the next: what one busy connection has under way, about. */
  poolIdleBytes: 32 * 1024 * 1024,
  kafkaConnections: 25_000,
  kafkaConnectionsPerAddress: 12_500,
  /** Time for the first whole request of a connection. */
  kafkaFirstRequestMs: 30_000,
  /** Time for a request that has begun to arrive. */
  kafkaFrameMs: 120_000,
  /** A client that fetches none of its answers for this long is cut off. */
  kafkaStalledMs: 120_000,
  /** Kafka's `connections.max.idle.ms`. */
  kafkaIdleMs: 10 * 60_000,
  /** Pub/Sub: connections, calls of one connection at once, and of all. */
  pubsubConnections: 10_000,
  pubsubStreams: 1_000,
  pubsubCalls: 20_000,
  /** A message of gRPC: the service's 10 MB of a publish request, and what is around them. */
  pubsubMessageBytes: 12 * 1024 * 1024,
  pubsubPublishBytes: 10 * 1000 * 1000,
  /** The same as JSON, where bytes are base64. */
  pubsubRestBytes: 16 * 1024 * 1024,
  /** Requests over all connections that are taken in and not answered. */
  pubsubBytesInFlight: 256 * 1024 * 1024,
  /** What a client may send ahead, in one call and in all of a connection. */
  pubsubWindowBytes: 1024 * 1024,
  pubsubSessionWindowBytes: 8 * 1024 * 1024,
  /** A longer deadline of a call is none. */
  pubsubTimeoutMs: 24 * 3_600_000,
  /** Messages of a partition that a subscription has out; where it is ordered, keys are looked at one by one. */
  pubsubOutstanding: 50_000,
  pubsubOrderedOutstanding: 5_000,
  /** Bytes that one streaming pull has out, where its client does not say. */
  pubsubStreamBytes: 256 * 1024 * 1024,
  /** Of one pull, and of one message of a streaming pull. */
  pubsubPullMessages: 1_000,
  pubsubPullBytes: 1024 * 1024,
  pubsubPullWaitMs: 20_000,
  pubsubStreamWaitMs: 60_000,
  /** A stream that has enough out looks so often for what is over. */
  pubsubSweepMs: 1_000,
  pubsubAckIds: 50_000,
  /** Items of lists and maps in one message of Protocol Buffers, all together: 1,000 messages may have 100 attributes each. */
  protobufItems: 150_000,
  /** The service's own quotas of a project. */
  pubsubSubscriptions: 10_000,
  pubsubSnapshots: 5_000,
  pubsubSchemas: 10_000,
  /** So often is looked for subscriptions and snapshots that have expired: they live for days. */
  pubsubExpiryMs: 3_600_000,
  /** JavaScript of users: the service's bound of its text; memory, stack and time of a call; functions that are kept ready. */
  pubsubUdfBytes: 20 * 1024,
  pubsubUdfMemoryBytes: 16 * 1024 * 1024,
  pubsubUdfStackBytes: 256 * 1024,
  pubsubUdfMs: 100,
  pubsubUdfs: 100,
  /** Memory of all of them, beyond which they are loaded anew. */
  pubsubUdfsMemoryBytes: 256 * 1024 * 1024,
  /** A thread that does not answer is ended, late enough for a machine with more to do than it has cores for; and so long the function that it was running is not run again. */
  pubsubUdfSilentMs: 10_000,
  pubsubUdfStoppedMs: 60_000,
  /** Incremental fetch sessions: Kafka's `max.incremental.fetch.session.cache.slots`, and their partitions together. */
  kafkaFetchSessions: 1_000,
  kafkaFetchSessionPartitions: 200_000,
  /** Share sessions: Kafka's `group.share.max.share.sessions`. Their partitions are bounded as those of fetch sessions are. */
  kafkaShareSessions: 2_000,
  /** Kafka's own longest id of a member of a share group: a UUID's. */
  shareMemberIdLength: 36,
  /** Items of all arrays of one Kafka request: small items become large objects. */
  kafkaItems: 200_000,
  /** A Kafka request frame; Kafka's `socket.request.max.bytes`. */
  kafkaFrameBytes: 100 * 1024 * 1024,
  /** Batches that one writer has under way to a Kafka cluster; beyond it appends wait. */
  clusterWriterBytes: 64 * 1024 * 1024,
  /** Partitions whose sequence it remembers. */
  clusterWriterPartitions: 20_000,
  /** Other processes that watch over this one. */
  peerConnections: 1_000,
  /** Open connections of MQTT; each idle one costs some KiB. */
  mqttConnections: 25_000,
  /** Time from a connection to its CONNECT as a whole. */
  mqttConnectMs: 10_000,
  /** A CONNECT: before it nobody is known. */
  mqttFirstPacketBytes: 64 * 1024,
  /** An MQTT packet. Its message is a record of a batch, with room for key and headers. */
  mqttPacketBytes: 1_048_588 - 4 * 1024,
  /** Messages with QoS 1 and 2 that a client may have under way to us, and we to it (it may want fewer). */
  mqttReceiveMaximum: 1_024,
  mqttInFlight: 256,
  /** Messages that come and are not in the log yet, over all connections; beyond it their sockets are not read. */
  mqttBytesInFlight: 128 * 1024 * 1024,
  /** Messages waiting in memory for one session: what is beyond stays in the log alone, and is read from there. */
  mqttQueued: 1_000,
  mqttQueuedBytes: 1024 * 1024,
  /** The same over all sessions; beyond it each has fewer. */
  mqttQueuedBytesInAll: 256 * 1024 * 1024,
  mqttQueuedBytesFew: 16 * 1024,
  /** Bytes that a client does not take: beyond it QoS 0 is dropped, and what else there is waits. Twice as many, of answers, and it is not read. */
  mqttBacklogBytes: 256 * 1024,
  /** The same over all; beyond it a client gets what fits the smaller amount, so that one large message for all devices is not there for each. */
  mqttBacklogBytesInAll: 256 * 1024 * 1024,
  mqttBacklogBytesFew: 16 * 1024,
  /** A client that takes nothing of them for so long is cut off; earlier where there is too much over all. */
  mqttStalledMs: 120_000,
  mqttStalledMsBehind: 30_000,
  /** Packets that have not come whole, and topics that have a number, over all; beyond it only small ones. */
  mqttHeldBytesInAll: 256 * 1024 * 1024,
  mqttHeldBytesFew: 16 * 1024,
  mqttTopicAliases: 64,
  mqttUserProperties: 256,
  /** Filters of one request, and subscriptions of a session: their count, and the bytes of their filters. */
  mqttFiltersPerRequest: 1_000,
  mqttSubscriptions: 1_000,
  mqttFilterBytes: 128 * 1024,
  /** Levels of a topic: each costs a node of a tree. */
  mqttTopicLevels: 128,
  /** Sessions that are kept, connected or not. */
  mqttSessions: 200_000,
  /** Client identifiers, wills, filters of all of them. */
  mqttSessionsBytes: 512 * 1024 * 1024,
  /** Retained messages, and their bytes in memory. */
  mqttRetained: 200_000,
  mqttRetainedBytes: 256 * 1024 * 1024,
  /** Log topics that are made because somebody publishes; more can be made by who may create topics. */
  mqttTopicsMade: 1_000,
  /** What one read of the log brings for a session that has fallen behind. */
  mqttCatchUpBytes: 256 * 1024,
  /** What one record batch may decompress to before it is read; bounds a bomb. */
  decompressedBytes: 128 * 1024 * 1024,
  /**
   * How many times as large as the largest batch of a topic one from a client may unpack to: 32 MiB by default, above what
   * clients pack by default (16 KB before or after, at most a MiB before).
   */
  expansion: 32,
  /**
   * What the batches of one produce request may unpack to, all together: so much, and so many times its own bytes. A few
   * bytes become a thousand or thirty thousand times as many, on the thread that all clients share: 128 MiB take a tenth
   * of a second. Clients make requests of a MiB unpacked (librdkafka, Java) or at most packed.
   */
  requestUnpackedBytes: 128 * 1024 * 1024,
  requestExpansion: 4,
  /** What a reader unpacks ahead of those it reads for, beyond one batch. */
  decodedBytes: 8 * 1024 * 1024,
  /** The same over all partitions that one task reads: a batch of each might be 128 MiB. */
  inputBytes: 64 * 1024 * 1024,
  /**
   * Decoded records that pages and streams over HTTP hold to merge partitions by time, all together; a partition's share
   * is not less than the smaller amount.
   */
  mergedBytes: 128 * 1024 * 1024,
  mergedShareMin: 64 * 1024,
  /**
   * Records of one batch from a client: seven bytes become an object of a hundred, and packed ones a thousandth of that.
   * librdkafka's defaults stay below (10,000), and what a MiB holds unpacked (150,000).
   */
  batchRecords: 200_000,
  /** Kafka's own longest topic name. */
  topicNameLength: 249,
  partitionsPerTopic: 10_000,
  /** Over all topics: some 4 KiB each once it has been asked for, and every client may ask for all. */
  partitions: 100_000,
  /** Producers whose last batches one partition remembers; Kafka forgets them by time alone. */
  producersPerPartition: 100_000,
  /** A producer that was silent for longer is forgotten; Kafka's `producer.id.expiration.ms`. */
  producerIdleMs: 24 * 60 * 60 * 1000,
  /** Memory for the keys of one pass of compaction; more keys take more passes. */
  compactionKeyBytes: 64 * 1024 * 1024,
  /** Kafka's bounds of a consumer's session timeout. */
  sessionTimeoutMinMs: 6_000,
  sessionTimeoutMaxMs: 30 * 60 * 1000,
  /** Who joins a group first is kept waiting no longer, whatever is set. */
  rebalanceDelayMaxMs: 60 * 60 * 1000,
  /** Kafka's `offset.metadata.max.bytes`. */
  offsetMetadataBytes: 4096,
  groupMembers: 10_000,
  /** Resources that say what clients are asked to measure; their texts. */
  clientSubscriptions: 1_000,
  clientSubscriptionMetrics: 1_000,
  clientSubscriptionLength: 20_000,
  /** One push of a client's metrics, as sent (Kafka's `telemetry.max.bytes`) and unpacked. */
  telemetryBytes: 1024 * 1024,
  telemetryUnpackedBytes: 8 * 1024 * 1024,
  /** Clients that push, as in Kafka; what is kept of what they pushed last. */
  telemetryClients: 16_384,
  telemetrySeries: 50_000,
  telemetrySeriesPerClient: 2_000,
  telemetryTextLength: 256,
  telemetryLabels: 20,
  /** What the members of one group, and of all groups together, say of themselves and are assigned. */
  groupBytes: 32 * 1024 * 1024,
  groupsBytes: 128 * 1024 * 1024,
  /** Committed positions of all groups: about 200 bytes each, and what is noted beside them. */
  groupPositionsBytes: 256 * 1024 * 1024,
  /** What groups, or a queue, become: written together up to this. */
  journalBytes: 8 * 1024 * 1024,
  /** A pattern of topics that a group subscribes to: its text, its instructions, and how many a group has. */
  groupPatternLength: 1_024,
  groupPatternSize: 4_096,
  groupPatterns: 200,
  groupIdLength: 1_024,
  /** Partitions that share groups read, over all groups; some 2 KiB each. */
  queues: 100_000,
  /** Appended by one tick before it must be committed; bounds what recovery looks at and what readers must hold back. */
  transactionBytes: 256 * 1024 * 1024,
  /** Kafka's `transaction.max.timeout.ms`: how long a client's transaction may stay open. */
  transactionTimeoutMaxMs: 15 * 60 * 1000,
  /** A transactional id that was silent for longer is forgotten; Kafka's `transactional.id.expiration.ms`. */
  transactionalIdIdleMs: 7 * 24 * 60 * 60 * 1000,
  /** Transactional ids that are remembered, half a KiB each; Kafka forgets them by time alone. */
  transactionalIds: 250_000,
  transactionalIdLength: 1_024,
  recordHeaders: 1_000,
  /** Records that wait for their time in memory, about 200 bytes each; what lies behind them waits in its topic. */
  delayedRecords: 500_000,
  /** Open segment files. Well below the 1,024 that many systems allow a process by default. */
  storeHandles: 512,
  /** Reads of segments that wait for the disk at once: each holds the memory that it reads into, a batch at least. */
  storeReads: 32,
  /** Newest batches kept in memory for readers: a tenth of a second of a fast writer. */
  storeHotBytes: 32 * 1024 * 1024,
  /** Bytes of zeros written ahead of a segment that takes many small writes. */
  storeRoomBytes: 256 * 1024,
  /** Intake stops when less is free: room for indexes, the journal and what other parts must write to shut down. */
  diskReserveBytes: 32 * 1024 * 1024,
  /** Items of one block of an Avro array that take no byte, as nulls do. */
  emptyItems: 65_536,
  /** AMQP values nested deeper are refused. */
  amqpDepth: 32,
  /** What we take in one frame; larger messages come in several. */
  amqpFrameBytes: 64 * 1024,
  /** One message, or a batch of them, as Event Hubs has it. */
  amqpMessageBytes: 1024 * 1024,
  /** Messages of one batch: each is a few objects here. */
  amqpBatchEvents: 100_000,
  amqpKeyLength: 128,
  /**
   * Sessions of a connection, as many as the real service has (clients for Java and Go have one for each partition that they
   * read), and links of a session: each link that reads costs some 10 KiB.
   */
  amqpChannels: 5_000,
  amqpLinks: 256,
  /** Sessions over all, links of a connection and over all, and what one asks for with its attach. */
  amqpSessionsInAll: 100_000,
  amqpLinksOfConnection: 4_096,
  amqpLinksInAll: 50_000,
  amqpAttachBytes: 8 * 1024,
  /** The path that a token is for. */
  amqpAudienceLength: 1_024,
  /** Frames that a session may send ahead. */
  amqpWindow: 2_048,
  /** Messages that a client may send ahead on one link. */
  amqpCredit: 1_000,
  /** Event Hubs connections, over all and from one address; each costs some 10 KiB. */
  amqpConnections: 16_384,
  amqpConnectionsPerAddress: 8_192,
  /** Time to open a connection, from its first byte to `open`. */
  amqpOpenMs: 30_000,
  /** A connection on which nothing came for so long is closed; clients are told half of it. */
  amqpIdleMs: 240_000,
  /** Bytes of one connection, and of all, that wait to be stored; beyond it sockets are not read. */
  amqpBytesWaiting: 16 * 1024 * 1024,
  amqpBytesWaitingInAll: 256 * 1024 * 1024,
  /** Events read for one link and not yet taken by its client. */
  amqpReadBytes: 1024 * 1024,
  /** Over all links; beyond it less is read at once for each. */
  amqpHeldBytes: 128 * 1024 * 1024,
  amqpSmallReadBytes: 16 * 1024,
  /** Written and not yet taken by the client's kernel; beyond it nothing is written. */
  amqpBacklogBytes: 1024 * 1024,
  /** The same over all; beyond it less is written to each. */
  amqpBacklogBytesInAll: 256 * 1024 * 1024,
  amqpBacklogBytesFew: 64 * 1024,
  /** Who takes nothing of it for so long is cut off. */
  amqpStalledMs: 120_000,
  /** Tokens that a connection has shown. */
  amqpTokens: 1_000,
  amqpTokenLength: 16 * 1024,
  /** Answers of the management and token nodes that a client has not taken. */
  amqpAnswers: 1_000,
  /** Receivers of one partition in one consumer group, as with the real service. */
  amqpReceivers: 5,
  /** Containers and blobs that are kept for checkpoints; content and metadata of one, and of all. */
  blobs: 100_000,
  blobBytes: 64 * 1024,
  blobsBytes: 256 * 1024 * 1024,
  /** JSON documents nested deeper are refused. */
  jsonDepth: 64,
  /** Body of one HTTP request that is not a stream. */
  httpBodyBytes: 16 * 1024 * 1024,
  /** One line of a streamed NDJSON body. */
  httpLineBytes: 1_048_588,
  /** Text of one SQL request. */
  sqlBytes: 1024 * 1024,
  /** Nesting of expressions, queries and types in SQL; each level costs a few frames of the stack in every stage. */
  sqlDepth: 200,
  /** Terms of one chain of the same operators (`a + b + c …`): each deepens the tree by one. */
  sqlChain: 500,
  /**
   * Nodes of one expression, and steps of one plan, with what stands in them several times counted each time: WITH queries
   * and plain views that mention one another twice double with each, as do coalesce() and CASE with what they test.
   */
  sqlExpressionNodes: 50_000,
  sqlSelectedNodes: 200_000,
  sqlPlanSteps: 4_000,
  /** Of one SELECT list, with what `*` stands for. */
  sqlColumns: 4_096,
  /** Windows of one HOP or CUMULATE that a row may lie in: each is a row of its own. */
  windowsPerRow: 10_000,
  /** The template of an alert's message; it is filled for every alert. */
  alertMessageLength: 4_000,
  /** What one INSERT may write: it is all or nothing, so it is held until it is written. */
  insertBytes: 64 * 1024 * 1024,
  /** Changes that wait for one slow subscriber before it is cut off. */
  subscriberBacklog: 100_000,
  /** The same by the bytes of their texts. */
  subscriberBacklogBytes: 64 * 1024 * 1024,
  /** A JSON Schema as text; larger ones take seconds to compile. */
  schemaBytes: 256 * 1024,
  /** Statements of a Protobuf file and what it imports: its parser takes a second for a message of 2,500 fields, four for 5,000. */
  protobufStatements: 4_000,
  /** Texts of a schema registry that are kept; further ones are not known. Schemas that one refers to, directly or not. */
  schemasBytes: 128 * 1024 * 1024,
  schemaReferences: 1_000,
  /** Ids that were waited for in vain, and are not waited for again for a while. */
  schemaIdsMissing: 10_000,
  /** Instructions of one compiled `pattern`, and steps one match may take: about a tenth of a second. */
  patternSize: 20_000,
  patternSteps: 5_000_000,
  /** Records of one HTTP request that is answered as a whole: the answer names each. */
  httpRecords: 100_000,
  /** Answers of an NDJSON stream held back to give the exact status; beyond it the answer begins with 207. */
  httpHeldAnswers: 10_000,
  /** Records of one page. */
  httpPageRecords: 10_000,
  /** Request line and headers together. */
  httpHeaderBytes: 16 * 1024,
  /** Open connections; each idle one costs a few KiB. */
  httpConnections: 16_384,
  /**
   * Time for the request line and headers, for a whole body, and between two pieces of a streamed one. The first is as
   * long as node:http's own: its clock runs on while the process itself is held up, and then blames the client.
   */
  httpHeaderMs: 60_000,
  httpBodyMs: 60_000,
  httpIdleMs: 60_000,
  /** A reader of a live stream that takes nothing for this long is cut off. */
  httpStalledMs: 60_000,
  /** Partitions that one live tail follows: its event id names a place in each. */
  httpTailPartitions: 1_000,
  /** Live streams over WebSockets at once: each costs what a tail costs, some 50 KiB and what is on its way. */
  httpWebSockets: 4_096,
  /** A message that a client may send on one, where none is expected. */
  httpMessageBytes: 4 * 1024,
  /** A Kinesis request: 500 records of 10 MiB together, as base64, and their keys. */
  kinesisRequestBytes: 16 * 1024 * 1024,
  /** Values, and pieces of them, in a Kinesis request: 500 keys of 256 commas each are that many in JSON. */
  kinesisItems: 150_000,
  /** Queues of Kinesis: each is kept in memory, some KiB. */
  kinesisQueues: 10_000,
  /** Records on their way into answers of Kinesis and of Pub/Sub, until their clients have taken them; and so long is waited for room. */
  kinesisAnswerBytes: 128 * 1024 * 1024,
  pubsubAnswerBytes: 128 * 1024 * 1024,
  /** A client of Pub/Sub that takes nothing of an answer for so long is cut off. */
  pubsubStalledMs: 120_000,
  answerRoomMs: 5_000,
  /** While others wait for room, an answer that its client has taken nothing of for so long may be ended. */
  answerYieldMs: 2_000,
  /** An answer goes out in pieces, each of which a client has to take in time. */
  answerPieceBytes: 256 * 1024,
  /** Bodies being taken in at once, over all requests. */
  httpBodyBytesInFlight: 256 * 1024 * 1024,
  /** Idempotency keys remembered over all topics, about 150 bytes each. */
  idempotencyKeys: 500_000,
  idempotencyKeyLength: 255,
  /** Series of one metric with a topic or group as label: the largest are shown, the rest as one sum. */
  metricSeries: 1_000,
  /** Digits before the point of a numeric; PostgreSQL's own limit. */
  numericDigits: 131_072,
  /** A text that an expression makes (repeat, lpad, replace). */
  textBytes: 16 * 1024 * 1024,
  /** Of one topic what the doctor looks at, beyond the batches of one partition. */
  doctorBytes: 64 * 1024 * 1024,
  /** Texts of one column of a batch: places in them are 32 bits. */
  columnBytes: 2 ** 31 - 1,
  /** Different rows that a one-off query holds until it knows its result. */
  queryRows: 5_000_000,
  /** Their bytes, about; and those of its operators' state. Several run at once, beside everything else. */
  queryBytes: 512 * 1024 * 1024,
  /** The same over all that run at once, with rows of tables and views that are kept for them; half of the heap where that is less. */
  queriesBytes: 1536 * 1024 * 1024,
  /** Rows of one table or view that are kept in memory for queries. */
  keptRowsBytes: 1024 * 1024 * 1024,
  /** Memory for the state of a view that says nothing else; rows that can go to disk then do. */
  viewMemoryBytes: 1024 * 1024 * 1024,
  /** Where memory is scarce, views with less state are let alone: to end them would gain nothing. */
  guardedStateBytes: 32 * 1024 * 1024,
  /** Threads for views: each takes some 40 MB. */
  viewThreads: 64,
  /**
   * A thread of views is asked so often whether it is there, and ended when it has not answered for so long: a step of a
   * view takes milliseconds, the heaviest known some seconds.
   */
  viewThreadPingMs: 1_000,
  viewThreadSilentMs: 15_000,
  /** Deliveries waiting at once, about 150 bytes each; beyond it alerts wait in their topics. */
  deliveriesWaiting: 200_000,
  /** Attempts under way at once, over all and per destination: one dead receiver must not hold up the others. */
  deliveriesAtOnce: 64,
  deliveriesPerDestination: 4,
  /** One attempt, from looking up the name to the last byte of the answer. */
  deliveryMs: 15_000,
  /** A delivery may be tried again for so long at most. */
  deliveryRetryMs: 7 * 86_400_000,
  /** Of a webhook's own. */
  deliveryHeaders: 20,
  /** Fired alerts kept in memory for those who look, over all and per rule. */
  firedKept: 1_000,
  firedKeptPerAlert: 100,
  /** Keys that an alert with EVERY remembers. */
  alertKeys: 1_000_000,
  /** Connectors that are defined: each holds connections, and two pieces of some megabytes. */
  connectors: 1_000,
  /** Topics that the messages of one source make. */
  connectorTopics: 1_000,
  /** Settings of one, and the bytes of a value. */
  connectorSettings: 100,
  connectorSettingLength: 64 * 1024,
} as const
