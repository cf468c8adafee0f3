/**
 * Sequence numbers, as the service's look (47 hexadecimal digits, written in decimal): a record's is made of its shard, of
 * its place there and of its time, so none has to be stored, and any record of a partition has one whoever wrote it.
 *
 *   2 | created of the shard, s (9) | shard (1) | index (16) | 00 | time, s (9) | shard (8) | 2
 *
 * The index of a record is its offset + 1: 0 is the beginning of the shard, 7fff… its end. They sort as the records lie.
 */
export interface SequenceNumber {
  readonly shard: number
  readonly shardCreatedMs: number
  readonly index: bigint
  readonly timeMs: number
}
export interface ParsedSequenceNumber extends SequenceNumber {
  /** 2 is ours; the service had others before, which clients may still know. */
  readonly version: 0 | 1 | 2
}
export const endIndex = 0x7fff_ffff_ffff_ffffn
/** Seconds that the service's own dates end at. */
const secondsMax = 16_025_175_000

const digits = (value: number | bigint, count: number): string => value.toString(16).padStart(count, '0').slice(-count)
const seconds = (ms: number): number => Math.max(0, Math.min(Math.floor(ms / 1_000), secondsMax - 1))

/** Of one shard, for many records. */
export function sequenceNumbers(
  shard: number,
  shardCreatedMs: number,
): (index: bigint | number, timeMs: number) => string {
  const created = seconds(shardCreatedMs)
  const prefix = `0x2${digits(created, 9)}${digits(shard, 8).slice(-1)}`
  const suffix = `${digits(shard, 8)}2`
  return (index, timeMs) =>
    BigInt(`${prefix}${digits(index, 16)}00${digits(Math.max(created, seconds(timeMs)), 9)}${suffix}`).toString()
}
export const sequenceNumber = ({ shard, shardCreatedMs, index, timeMs }: SequenceNumber): string =>
  sequenceNumbers(shard, shardCreatedMs)(index, timeMs)

const oldest = 2n ** 124n
const oldestEnd = 2n ** 129n
const newest = 2n ** 185n
const newestEnd = 2n ** 185n + 2n ** 184n

/** null: it is none. */
export function parseSequenceNumber(text: string): ParsedSequenceNumber | null {
  if (!/^\d{1,129}$/.test(text)) return null
  let value = BigInt(text)
  if (value < oldest) value += oldest
  const hex = value.toString(16)
  const part = (from: number, to: number): number => Number.parseInt(hex.slice(from, to), 16)
  const created = part(1, 10)
  const shardCreatedMs = created * 1_000
  if (value < oldestEnd)
    return created >= secondsMax
      ? null
      : { version: 0, shardCreatedMs, shard: part(28, 32), index: 0n, timeMs: shardCreatedMs }
  if (value <= newest || value >= newestEnd) return null
  if (hex.endsWith('1'))
    return {
      version: 1,
      shardCreatedMs,
      shard: part(38, 46) | 0,
      index: BigInt(part(36, 38)),
      timeMs: part(13, 22) * 1_000,
    }
  if (!hex.endsWith('2') || created >= secondsMax || part(11, 12) > 7) return null
  return {
    version: 2,
    shardCreatedMs,
    shard: part(38, 46) | 0,
    index: BigInt(`0x${hex.slice(11, 27)}`),
    timeMs: part(29, 38) * 1_000,
  }
}
