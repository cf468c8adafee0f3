/**
 * The settings of a topic: every one that Kafka 4.3 knows, and our own. Each is either honoured, or takes only the values
 * under which ignoring it changes nothing; another value is refused with its reason. None is silently ignored.
 */
import { Fault } from '../../lib/fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { PartitionConfig } from '../../store/store.ts'
import type { ConfigEntry } from '../broker.ts'
import { meaningfulHeaders } from '../record-headers.ts'
import type { Compression } from '../compression.ts'
import { type Setting, settings } from './topic-settings.ts'

/** What the settings of one topic come to. Times in milliseconds; Infinity = no bound. */
export interface TopicPolicy {
  readonly compact: boolean
  readonly deletes: boolean
  readonly compression: Compression | 'producer'
  /** Of a codec that the topic asks for; undefined where it has one alone. */
  readonly compressionLevel: number | undefined
  readonly batchBytesMax: number
  readonly timestampType: 'create-time' | 'log-append-time'
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  /** Readers see what is written, before it is durable. */
  readonly ackBeforeSync: boolean
  readonly flushMessages: number
  readonly tombstoneMs: number
  readonly compactionLagMinMs: number
  readonly compactionLagMaxMs: number
  readonly dirtyRatioMin: number
  /** Records may say how long they live. */
  readonly recordTtl: boolean
  /** Of records, that mean something here. */
  readonly headers: readonly string[]
  readonly store: PartitionConfig
}

type Config = Readonly<Record<string, string>>
const byName = new Map(settings.map((setting) => [setting.name, setting]))

/** Throws Fault log.invalid-config for the first setting that is unknown, malformed, not possible here or at odds with another. */
export function checkConfig(config: Config): void {
  for (const [name, value] of Object.entries(config)) {
    const setting = byName.get(name)
    if (setting === undefined) throw new Fault('log.invalid-config', { name, value, why: unknown(name) })
    const why = wrongWith(setting, value)
    if (why !== null) throw new Fault('log.invalid-config', { name, value, why })
  }
  const [shortest, longest] = ['min.compaction.lag.ms', 'max.compaction.lag.ms'] as const
  if (numberOf(config, shortest) <= numberOf(config, longest)) return
  const why = `it is more than ${longest}=${valueOf(config, longest)}`
  throw new Fault('log.invalid-config', { name: shortest, value: valueOf(config, shortest), why })
}

function unknown(name: string): string {
  const near = suggestion(name, byName.keys())
  return `there is no such setting${near === null ? '' : `; did you mean ${near}?`}`
}

/** Why a setting cannot have the value. */
export function wrongWith(setting: Setting, value: string): string | null {
  const text = value.trim()
  switch (setting.type) {
    case 'boolean':
      if (!/^(true|false)$/i.test(text)) return 'it must be true or false'
      break
    case 'int':
    case 'long': {
      if (!/^[+-]?\d{1,19}$/.test(text)) return 'it must be a whole number'
      const number = BigInt(text)
      const max = setting.max ?? (setting.type === 'int' ? 2 ** 31 - 1 : Number.POSITIVE_INFINITY)
      const longMax = 2n ** 63n - 1n
      if (number > longMax || (Number.isFinite(max) && number > BigInt(max)))
        return `it must be at most ${Number.isFinite(max) ? max : longMax}`
      const min = setting.min ?? (setting.type === 'int' ? -(2 ** 31) : -(2 ** 53))
      if (number < BigInt(min)) return `it must be at least ${min}`
      break
    }
    case 'double': {
      const number = Number(text)
      if (text === '' || Number.isNaN(number)) return 'it must be a number'
      if (number < (setting.min ?? -Infinity) || number > (setting.max ?? Infinity))
        return `it must be between ${setting.min} and ${setting.max}`
      break
    }
    case 'list':
    case 'string': {
      const parts = setting.type === 'list' ? listOf(text) : [text]
      const choices = setting.choices
      const odd = choices === undefined ? undefined : parts.find((part) => !choices.includes(part))
      if (odd !== undefined) return `${JSON.stringify(odd)} is none of ${choices!.join(', ')}`
      break
    }
  }
  return setting.refuses?.(text) ?? null
}

const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const valueOf = (config: Config, name: string): string => (config[name] ?? byName.get(name)!.default).trim()
function numberOf(config: Config, name: string): number {
  const value = Number(valueOf(config, name))
  return value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value
}
const flagOf = (config: Config, name: string): boolean => valueOf(config, name).toLowerCase() === 'true'

/** `config` has passed `checkConfig`. `spread` in [0, 1) staggers what segment.jitter.ms asks to stagger. */
export function policyOf(config: Config, spread = 0): TopicPolicy {
  const cleanup = listOf(valueOf(config, 'cleanup.policy'))
  const deletes = cleanup.includes('delete')
  const compression = valueOf(config, 'compression.type')
  const timestampType =
    valueOf(config, 'message.timestamp.type') === 'LogAppendTime' ? 'log-append-time' : 'create-time'
  const segmentBytes = config['internal.segment.bytes'] ?? valueOf(config, 'segment.bytes')
  // A segment that is still growing is never compacted: it may not grow for longer than a record may wait for that.
  const longestMs = cleanup.includes('compact') ? numberOf(config, 'max.compaction.lag.ms') : Infinity
  const segmentMs = Math.min(numberOf(config, 'segment.ms'), longestMs)
  const jitterMs = Math.min(numberOf(config, 'segment.jitter.ms'), segmentMs)
  return {
    compact: cleanup.includes('compact'),
    deletes,
    compression: compression === 'uncompressed' ? 'none' : (compression as Compression | 'producer'),
    compressionLevel:
      compression === 'gzip' || compression === 'zstd'
        ? numberOf(config, `compression.${compression}.level`)
        : undefined,
    batchBytesMax: numberOf(config, 'max.message.bytes'),
    timestampType,
    timestampBeforeMaxMs: numberOf(config, 'message.timestamp.before.max.ms'),
    timestampAfterMaxMs: numberOf(config, 'message.timestamp.after.max.ms'),
    ackBeforeSync: flagOf(config, 'ack.before.sync'),
    flushMessages: numberOf(config, 'flush.messages'),
    tombstoneMs: numberOf(config, 'delete.retention.ms'),
    compactionLagMinMs: numberOf(config, 'min.compaction.lag.ms'),
    compactionLagMaxMs: numberOf(config, 'max.compaction.lag.ms'),
    dirtyRatioMin: numberOf(config, 'min.cleanable.dirty.ratio'),
    headers: meaningfulHeaders(config),
    recordTtl: flagOf(config, 'record.ttl.enable'),
    store: {
      segmentBytes: Number(segmentBytes),
      segmentMs: jitterMs > 0 ? Math.max(1, segmentMs - Math.floor(jitterMs * spread)) : segmentMs,
      retentionBytes: deletes ? numberOf(config, 'retention.bytes') : -1,
      retentionMs: deletes ? boundOf(numberOf(config, 'retention.ms')) : -1,
      flushMs: numberOf(config, 'flush.ms'),
      timestampType,
      indexIntervalBytes: numberOf(config, 'index.interval.bytes'),
    },
  }
}
const boundOf = (ms: number): number => (Number.isFinite(ms) ? ms : -1)

type Synonyms = NonNullable<ConfigEntry['synonyms']>
/** For DescribeConfigs: all settings, the topic's own values where it has them, else those of the broker. */
export function describeConfig(
  { config, defaults = {} }: { readonly config: Config; readonly defaults?: Config },
  broker: (name: string) => Synonyms = () => [],
): ConfigEntry[] {
  return settings
    .filter((setting) => setting.hidden !== true)
    .map(({ name, default: byDefault, type, documentation }) => {
      const own = config[name]
      const mine: Synonyms = own === undefined ? [] : [{ name, value: own, source: 'topic' }]
      const its = defaults[name] ?? byDefault
      const inherited = broker(name).map((one) => (one.source === 'default' ? { ...one, value: its } : one))
      const synonyms = [...mine, ...inherited]
      const value = synonyms[0]?.value ?? its
      return { name, value, isDefault: own === undefined, type, documentation, synonyms }
    })
}
