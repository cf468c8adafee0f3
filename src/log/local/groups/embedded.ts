/**
 * What consumers of the classic protocol say inside the bytes that the group protocol carries for them
 * (ConsumerProtocolSubscription 0–3, ConsumerProtocolAssignment 0–3). Other kinds of members (Kafka Connect) put other
 * bytes there: then the answer is null.
 */
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts'
import { Fault } from '../../../lib/fault.ts'
import type { Partition } from '../../log.ts'

export interface Subscription {
  readonly version: number
  readonly topics: readonly string[]
  readonly owned: readonly Partition[]
  readonly rackId: string | null
}
export interface Assignment {
  readonly partitions: readonly Partition[]
  readonly userData: Uint8Array | null
}
const firstVersionOfOwned = 1
const firstVersionOfGeneration = 2
const firstVersionOfRack = 3

function parsed<T>(bytes: Uint8Array, parse: (input: ByteReader) => T): T | null {
  try {
    return parse(new ByteReader(bytes))
  } catch (error) {
    if (error instanceof Fault) return null
    throw error
  }
}
export function readSubscription(bytes: Uint8Array): Subscription | null {
  return parsed(bytes, (input) => {
    const version = readVersion(input)
    const topics: string[] = []
    for (let left = input.int32(); left > 0; left--) topics.push(input.utf8(input.int16()))
    // What follows is for assignors; clients have been seen to leave it out.
    const rest = { version, topics, owned: [] as Partition[], rackId: null as string | null }
    if (input.left === 0) return rest
    readBytes(input)
    if (version >= firstVersionOfOwned && input.left > 0) rest.owned = readPartitions(input)
    if (version >= firstVersionOfGeneration && input.left > 0) input.int32()
    if (version >= firstVersionOfRack && input.left > 0) {
      const length = input.int16()
      rest.rackId = length < 0 ? null : input.utf8(length)
    }
    return rest
  })
}
export function readAssignment(bytes: Uint8Array): Assignment | null {
  return parsed(bytes, (input) => {
    readVersion(input)
    const partitions = readPartitions(input)
    return { partitions, userData: input.left === 0 ? null : readBytes(input) }
  })
}
export function writeAssignment(version: number, partitions: readonly Partition[]): Uint8Array {
  const out = new ByteWriter(64)
  out.int16(version)
  const topics = Map.groupBy(partitions, ({ topic }) => topic)
  out.int32(topics.size)
  for (const [topic, of] of topics) {
    const name = Buffer.from(topic)
    out.int16(name.length)
    out.raw(name)
    out.int32(of.length)
    for (const { index } of of) out.int32(index)
  }
  out.int32(-1)
  return out.done()
}

function readVersion(input: ByteReader): number {
  const version = input.int16()
  if (version < 0) throw new Fault('wire.malformed', { what: `a version of ${version}` })
  return version
}
function readPartitions(input: ByteReader): Partition[] {
  const partitions: Partition[] = []
  for (let topics = input.int32(); topics > 0; topics--) {
    const topic = input.utf8(input.int16())
    for (let left = input.int32(); left > 0; left--) partitions.push({ topic, index: input.int32() })
  }
  return partitions
}
function readBytes(input: ByteReader): Uint8Array | null {
  const length = input.int32()
  return length < 0 ? null : input.raw(length)
}
