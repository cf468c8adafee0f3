/**
 * What members and the leader of a group tell each other, in the form of Kafka's consumer protocol, so that its tools show
 * our groups as they show others. What is ours travels as JSON in the field that is free for it.
 */
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts'
import { Fault } from '../../../lib/fault.ts'
import type { Partition } from '../../log.ts'

const version = { subscription: 1, assignment: 0 } as const
export const protocolType = 'consumer'
/** Members of one group all speak this; another way to assign gets another name. */
export const protocolName = 'millrace-1'

/** One of our processes, as others know it. */
export interface ProcessInfo {
  readonly process: string
  /** HOST:PORT where it can be seen to live; null = nowhere. */
  readonly peer: string | null
}
export interface MemberSaid extends ProcessInfo {
  readonly name: string | null
  readonly standbys: number
  readonly whole: boolean
  readonly warm: readonly Partition[]
}
export interface Subscription {
  readonly topics: readonly string[]
  /** What nobody else may be given yet. */
  readonly held: readonly Partition[]
  readonly said: MemberSaid
}
export interface LeaderSaid {
  readonly standby: readonly Partition[]
  /** Held, to be given up, and given to nobody else until then. */
  readonly kept: readonly Partition[]
  readonly members: readonly ({ readonly member: string } & ProcessInfo)[]
}
export interface Assignment {
  readonly active: readonly Partition[]
  readonly said: LeaderSaid
}

export function encodeSubscription({ topics, held, said }: Subscription): Uint8Array {
  const out = new ByteWriter()
  out.int16(version.subscription)
  out.int32(topics.length)
  for (const topic of topics) text(out, topic)
  json(out, said)
  places(out, held)
  return out.done()
}
/** null: not of ours. */
export function decodeSubscription(bytes: Uint8Array): Subscription | null {
  return tolerant(() => {
    const input = new ByteReader(bytes)
    if (input.int16() < version.subscription) return null
    const topics = Array.from({ length: count(input) }, () => input.utf8(input.int16()))
    const said = readJson(input) as MemberSaid | null
    if (said === null || typeof said.process !== 'string') return null
    return { topics, held: readPlaces(input), said }
  })
}
export function encodeAssignment({ active, said }: Assignment): Uint8Array {
  const out = new ByteWriter()
  out.int16(version.assignment)
  places(out, active)
  json(out, said)
  return out.done()
}
const nobody: LeaderSaid = { standby: [], kept: [], members: [] }
/** Also of assignments that others made: what they hold is of interest all the same. */
export function decodeAssignment(bytes: Uint8Array): Assignment {
  const none: Assignment = { active: [], said: nobody }
  if (bytes.length === 0) return none
  return (
    tolerant(() => {
      const input = new ByteReader(bytes)
      input.int16()
      const active = readPlaces(input)
      const said = tolerant(() => readJson(input) as LeaderSaid | null)
      return { active, said: said !== null && Array.isArray(said.members) ? said : nobody }
    }) ?? none
  )
}

function text(out: ByteWriter, value: string): void {
  const bytes = Buffer.from(value)
  out.int16(bytes.length)
  out.raw(bytes)
}
function json(out: ByteWriter, value: unknown): void {
  const bytes = Buffer.from(JSON.stringify(value))
  out.int32(bytes.length)
  out.raw(bytes)
}
function readJson(input: ByteReader): unknown {
  const length = input.int32()
  return length < 0 ? null : JSON.parse(input.utf8(length))
}
function places(out: ByteWriter, partitions: readonly Partition[]): void {
  const topics = Map.groupBy(partitions, ({ topic }) => topic)
  out.int32(topics.size)
  for (const [topic, of] of topics) {
    text(out, topic)
    out.int32(of.length)
    for (const { index } of of) out.int32(index)
  }
}
function readPlaces(input: ByteReader): Partition[] {
  const found: Partition[] = []
  for (let topics = count(input); topics > 0; topics--) {
    const topic = input.utf8(input.int16())
    for (let left = count(input); left > 0; left--) found.push({ topic, index: input.int32() })
  }
  return found
}
function count(input: ByteReader): number {
  const value = input.int32()
  if (value > input.left) throw new Fault('wire.malformed', { what: `${value} items in ${input.left} bytes` })
  return Math.max(0, value)
}
function tolerant<T>(read: () => T | null): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof Fault || error instanceof SyntaxError) return null
    throw error
  }
}
