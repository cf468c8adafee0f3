/**
 * Records of `__consumer_offsets` in Kafka's own formats: OffsetCommit key 1 and value 3 (1 with a time to expire),
 * GroupMetadata key 2 and value 3.
 */
import type { Offset } from '../../../lib/brand.ts'
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts'

export interface Committed {
  /** Below 0 it is no position (`OffsetToCommit`). */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly committedMs: number
  /** Where an old client said so: in place of the retention that all have. */
  readonly expiresMs?: number
  /** Where its record lies, about: which of two was written later. Not in the record. */
  readonly place?: Offset
}
export interface StoredMember {
  readonly id: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly host: string
  readonly rebalanceTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly subscription: Uint8Array
  readonly assignment: Uint8Array
}
export interface StoredGroup {
  readonly protocolType: string
  readonly generation: number
  readonly protocol: string | null
  readonly leader: string | null
  /** When it came into this state. */
  readonly sinceMs: number
  readonly members: readonly StoredMember[]
}
export type GroupRecordKey =
  | { readonly kind: 'offset'; readonly group: string; readonly topic: string; readonly index: number }
  | { readonly kind: 'group'; readonly group: string }

const offsetKeyVersion = 1
const groupKeyVersion = 2
const valueVersion = 3
const expiringVersion = 1

export function encodeKey(key: GroupRecordKey): Uint8Array {
  const out = new ByteWriter(64)
  out.int16(key.kind === 'offset' ? offsetKeyVersion : groupKeyVersion)
  writeText(out, key.group)
  if (key.kind === 'offset') {
    writeText(out, key.topic)
    out.int32(key.index)
  }
  return out.done()
}
/** Null for keys of a kind that is not ours. */
export function decodeKey(bytes: Uint8Array): GroupRecordKey | null {
  const input = new ByteReader(bytes)
  const version = input.int16()
  if (version === groupKeyVersion) return { kind: 'group', group: readText(input) ?? '' }
  if (version < 0 || version > offsetKeyVersion) return null
  return { kind: 'offset', group: readText(input) ?? '', topic: readText(input) ?? '', index: input.int32() }
}

export function encodeCommitted(value: Committed): Uint8Array {
  const out = new ByteWriter(64)
  out.int16(value.expiresMs === undefined ? valueVersion : expiringVersion)
  out.int64(value.offset)
  if (value.expiresMs === undefined) out.int32(value.leaderEpoch)
  writeText(out, value.metadata)
  out.int64(value.committedMs)
  if (value.expiresMs !== undefined) out.int64(value.expiresMs)
  return out.done()
}
export function decodeCommitted(bytes: Uint8Array): Committed {
  const input = new ByteReader(bytes)
  const version = input.int16()
  const offset = input.int64()
  const leaderEpoch = version >= valueVersion ? input.int32() : -1
  const committed = { offset, leaderEpoch, metadata: readText(input) ?? '', committedMs: input.int64() }
  // Who wants it kept for ever may have written more than is exact.
  const expiresMs = (): number => Math.min(Number(input.bigInt64()), Number.MAX_SAFE_INTEGER)
  return version === expiringVersion ? { ...committed, expiresMs: expiresMs() } : committed
}

export function encodeGroup(value: StoredGroup): Uint8Array {
  const out = new ByteWriter(256)
  out.int16(valueVersion)
  writeText(out, value.protocolType)
  out.int32(value.generation)
  writeText(out, value.protocol)
  writeText(out, value.leader)
  out.int64(value.sinceMs)
  out.int32(value.members.length)
  for (const member of value.members) {
    writeText(out, member.id)
    writeText(out, member.instanceId)
    writeText(out, member.clientId)
    writeText(out, member.host)
    out.int32(member.rebalanceTimeoutMs)
    out.int32(member.sessionTimeoutMs)
    writeBytes(out, member.subscription)
    writeBytes(out, member.assignment)
  }
  return out.done()
}
export function decodeGroup(bytes: Uint8Array): StoredGroup {
  const input = new ByteReader(bytes)
  const version = input.int16()
  const protocolType = readText(input) ?? ''
  const generation = input.int32()
  const protocol = readText(input)
  const leader = readText(input)
  const sinceMs = version >= 2 ? input.int64() : -1
  const members: StoredMember[] = []
  for (let left = input.int32(); left > 0; left--) {
    const id = readText(input) ?? ''
    const instanceId = version >= 3 ? readText(input) : null
    const clientId = readText(input) ?? ''
    const host = readText(input) ?? ''
    const rebalanceTimeoutMs = version >= 1 ? input.int32() : -1
    const sessionTimeoutMs = input.int32()
    const subscription = input.raw(input.int32())
    const assignment = input.raw(input.int32())
    members.push({
      id,
      instanceId,
      clientId,
      host,
      rebalanceTimeoutMs: rebalanceTimeoutMs < 0 ? sessionTimeoutMs : rebalanceTimeoutMs,
      sessionTimeoutMs,
      subscription,
      assignment,
    })
  }
  return { protocolType, generation, protocol, leader, sinceMs, members }
}

function writeText(out: ByteWriter, text: string | null): void {
  if (text === null) return out.int16(-1)
  const bytes = Buffer.from(text)
  out.int16(bytes.length)
  out.raw(bytes)
}
function readText(input: ByteReader): string | null {
  const length = input.int16()
  return length < 0 ? null : input.utf8(length)
}
function writeBytes(out: ByteWriter, bytes: Uint8Array): void {
  out.int32(bytes.length)
  out.raw(bytes)
}
