/** The table behind `topic-config.ts`: names, types, defaults, bounds and texts. Names and types are Kafka 4.3's. */
import { limits } from '../../lib/limits.ts'
import type { ConfigEntry } from '../broker.ts'
import { closedPartitions, isClosedPartitions } from '../closed-partitions.ts'

export interface Setting {
  readonly name: string
  readonly type: Exclude<ConfigEntry['type'], 'password'>
  readonly default: string
  readonly min?: number
  readonly max?: number
  readonly choices?: readonly string[]
  /** Why a well-formed value cannot be had here; null when it can. */
  readonly refuses?: (value: string) => string | null
  /** Not shown: Kafka's own testing aid. */
  readonly hidden?: true
  readonly documentation: string
}

const longMax = '9223372036854775807'
/** A setting without a counterpart here: only the value that asks for nothing is taken. */
const only =
  (value: string, why: string) =>
  (found: string): string | null =>
    found.toLowerCase() === value ? null : `only ${value} is possible: ${why}`
const oneCopy = 'Partitions have one copy each, so there is nothing to choose and any value holds.'
const noTiers = 'there is no remote storage of segments'

/** Batches are packed on the one thread that all clients share: a MB of JSON takes 50 ms at 12, 650 at 19. */
const zstdLevelMax = 12
export const settings: readonly Setting[] = [
  {
    name: 'ack.before.sync',
    type: 'boolean',
    default: 'false',
    documentation:
      'Show records to readers as soon as they are written, before they are durable. A power cut may then take back what has been read.',
  },
  {
    name: 'cleanup.policy',
    type: 'list',
    default: 'delete',
    choices: ['delete', 'compact'],
    documentation:
      'What happens to old segments: "delete" discards them by retention.ms and retention.bytes, "compact" keeps the latest record of each key. Both may be given, separated by a comma.',
  },
  {
    name: closedPartitions,
    type: 'string',
    default: '',
    refuses: (value) => (isClosedPartitions(value) ? null : 'it must be pairs like 0:1,4:5'),
    documentation:
      'Partitions to which HTTP, MQTT, Pub/Sub, Event Hubs and SQL put nothing more unless they are asked for, each with one that takes its place: 0:1,4:5. Splits and merges of a Kinesis stream set it. Kafka has no such setting.',
  },
  {
    name: 'compression.gzip.level',
    type: 'int',
    default: '-1',
    min: -1,
    max: 9,
    refuses: (value) => (Number(value) === 0 ? 'it must be -1 (the default) or from 1 to 9' : null),
    documentation: 'Level of compression.type=gzip: 1 to 9, or -1.',
  },
  {
    name: 'compression.lz4.level',
    type: 'int',
    default: '9',
    refuses: only('9', 'there is one level of lz4 here'),
    documentation: 'Level of compression.type=lz4. There is one here.',
  },
  {
    name: 'compression.type',
    type: 'string',
    default: 'producer',
    choices: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    documentation:
      'Codec of stored batches. "producer" keeps what the producer chose; any other choice packs every batch again.',
  },
  {
    name: 'compression.zstd.level',
    type: 'int',
    default: '3',
    min: -131_072,
    refuses: (value) =>
      Number(value) > zstdLevelMax
        ? `it must be at most ${zstdLevelMax}: batches are packed on the thread that all clients share`
        : null,
    documentation: `Level of compression.type=zstd. At most ${zstdLevelMax}.`,
  },
  {
    name: 'delete.retention.ms',
    type: 'long',
    default: '86400000',
    min: 0,
    documentation: 'How long a compacted topic keeps a record that says its key is gone.',
  },
  {
    name: 'deliver.to',
    type: 'string',
    default: '',
    documentation:
      'Records of this topic are copied to that one when their time has come: the header mr-deliver-at says when, or mr-deliver-after how long after the time of the record; without either at once. Kafka has no such setting.',
  },
  {
    name: 'file.delete.delay.ms',
    type: 'long',
    default: '60000',
    min: 0,
    documentation: 'The longest wait before the file of a discarded segment goes. Here it goes at once.',
  },
  {
    name: 'flush.messages',
    type: 'long',
    default: longMax,
    min: 1,
    documentation: 'Ask for a sync after so many records even when nobody waits for one.',
  },
  {
    name: 'flush.ms',
    type: 'long',
    default: '10',
    min: 0,
    documentation: 'The longest time that written records stay unsynced when nobody waits for them.',
  },
  {
    name: 'follower.replication.throttled.replicas',
    type: 'list',
    default: '',
    documentation: `Copies whose replication is throttled. ${oneCopy}`,
  },
  {
    name: 'index.interval.bytes',
    type: 'int',
    default: '4096',
    min: 0,
    documentation: 'Bytes of records between two entries of the offset and time indexes.',
  },
  {
    name: 'internal.segment.bytes',
    type: 'int',
    default: '134217728',
    min: 1,
    hidden: true,
    documentation: 'segment.bytes without its lower bound, for tests.',
  },
  {
    name: 'leader.replication.throttled.replicas',
    type: 'list',
    default: '',
    documentation: `Copies whose replication is throttled. ${oneCopy}`,
  },
  {
    name: 'local.retention.bytes',
    type: 'long',
    default: '-2',
    min: -2,
    refuses: only('-2', noTiers),
    documentation: 'Bytes kept locally when segments are also kept remotely; -2 = as retention.bytes.',
  },
  {
    name: 'local.retention.ms',
    type: 'long',
    default: '-2',
    min: -2,
    refuses: only('-2', noTiers),
    documentation: 'Time kept locally when segments are also kept remotely; -2 = as retention.ms.',
  },
  {
    name: 'max.compaction.lag.ms',
    type: 'long',
    default: longMax,
    min: 1,
    documentation: 'The longest time that a record of a compacted topic stays uncompacted.',
  },
  {
    name: 'max.message.bytes',
    type: 'int',
    default: String(limits.batchBytes),
    min: 0,
    max: limits.batchBytesMax,
    documentation: `The largest record batch, as stored. At most ${limits.batchBytesMax}.`,
  },
  {
    name: 'message.timestamp.after.max.ms',
    type: 'long',
    default: '3600000',
    min: 0,
    documentation: "How far a record's time may lie ahead of its arrival. Ignored with LogAppendTime.",
  },
  {
    name: 'message.timestamp.before.max.ms',
    type: 'long',
    default: longMax,
    min: 0,
    documentation: "How far a record's time may lie behind its arrival. Ignored with LogAppendTime.",
  },
  {
    name: 'message.timestamp.type',
    type: 'string',
    default: 'CreateTime',
    choices: ['CreateTime', 'LogAppendTime'],
    documentation: "Whether a record's time is the producer's or that of its arrival.",
  },
  {
    name: 'min.cleanable.dirty.ratio',
    type: 'double',
    default: '0.5',
    min: 0,
    max: 1,
    documentation: 'Share of a compacted partition that must be uncompacted before compaction runs.',
  },
  {
    name: 'min.compaction.lag.ms',
    type: 'long',
    default: '0',
    min: 0,
    documentation: 'The shortest time that a record of a compacted topic stays uncompacted.',
  },
  {
    name: 'min.insync.replicas',
    type: 'int',
    default: '1',
    min: 1,
    refuses: only('1', 'partitions have one copy each'),
    documentation: 'Copies that must hold a record before acks=all is answered. Partitions have one copy each.',
  },
  {
    name: 'preallocate',
    type: 'boolean',
    default: 'false',
    refuses: only('false', 'segments grow as they are written'),
    documentation: 'Whether segment files are made at full size. They grow as they are written.',
  },
  {
    name: 'record.ttl.enable',
    type: 'boolean',
    default: 'false',
    documentation:
      'Whether records may say in the header mr-ttl for how long they are there (30s, 1500ms), by their time. What is over is given to no reader any more. Kafka has no such setting.',
  },
  {
    name: 'remote.log.copy.disable',
    type: 'boolean',
    default: 'false',
    refuses: only('false', noTiers),
    documentation: 'Whether copying to remote storage is off. There is no remote storage of segments.',
  },
  {
    name: 'remote.log.delete.on.disable',
    type: 'boolean',
    default: 'false',
    refuses: only('false', noTiers),
    documentation:
      'Whether remote copies go when remote storage is turned off. There is no remote storage of segments.',
  },
  {
    name: 'remote.storage.enable',
    type: 'boolean',
    default: 'false',
    refuses: only('false', noTiers),
    documentation: 'Whether sealed segments are moved to remote storage. There is none.',
  },
  {
    name: 'retention.bytes',
    type: 'long',
    default: '-1',
    documentation: 'Bytes that a partition keeps before its oldest segments are discarded; -1 = no bound.',
  },
  {
    name: 'retention.ms',
    type: 'long',
    default: '-1',
    min: -1,
    documentation: 'How long records are kept, by their own time; -1 = no bound.',
  },
  {
    name: 'segment.bytes',
    type: 'int',
    default: '134217728',
    min: 1_048_576,
    documentation: 'Size at which a new segment file is begun. Retention and compaction work by whole segments.',
  },
  {
    name: 'segment.index.bytes',
    type: 'int',
    default: '10485760',
    min: 4,
    refuses: only('10485760', 'indexes grow with their segment'),
    documentation: 'Size of an index file. Indexes here are sparse and grow with their segment.',
  },
  {
    name: 'segment.jitter.ms',
    type: 'long',
    default: '0',
    min: 0,
    documentation: 'Spreads segment.ms over partitions by up to this much, so that they do not all roll at once.',
  },
  {
    name: 'segment.ms',
    type: 'long',
    default: '604800000',
    min: 1,
    documentation: 'Age at which a new segment file is begun even when it is not full.',
  },
  {
    name: 'unclean.leader.election.enable',
    type: 'boolean',
    default: 'false',
    documentation: `Whether a copy that lags may become leader. ${oneCopy}`,
  },
]
