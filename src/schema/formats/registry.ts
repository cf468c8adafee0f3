/**
 * Schemas by the ids that Confluent's framing has before each value. They lie in the topic `_schemas`, in the format of
 * Confluent's Schema Registry: keys and values are JSON, the newest value of a key counts. What an id means never changes,
 * so the topic is read on only when an id turns up that is not known yet.
 */
import { offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { decodeBatch } from '../../log/batch.ts'
import type { Log, Partition } from '../../log/log.ts'
import { type AvroSchema, parseAvro } from './avro.ts'
import { type ProtoFile, parseProtobuf } from './protobuf.ts'

export const schemasTopic = '_schemas'
const partition: Partition = { topic: schemasTopic, index: 0 }

interface Reference {
  readonly name: string
  readonly subject: string
  readonly version: number
}
export interface RegisteredSchema {
  readonly id: number
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON'
  readonly text: string
  readonly references: readonly Reference[]
}
interface Referred {
  /** As it is imported. */
  readonly name: string
  readonly text: string
}
type Make = (schema: RegisteredSchema, references: readonly Referred[]) => AvroSchema | ProtoFile
/** So long is an id waited for: it may be written by somebody who is slower than the events. */
const waitMs = 5_000
/** So often is the topic read on for an id that was waited for in vain. */
const lookMs = 1_000
/** So long is it then not waited for again. */
const patienceMs = 60_000
const pollMs = 250

export class Schemas {
  private readonly log: Log
  private readonly clock: Clock
  private readonly byId = new Map<number, RegisteredSchema>()
  private readonly byVersion = new Map<string, RegisteredSchema>()
  private readonly parsed = new Map<number, AvroSchema | ProtoFile | Fault>()
  private readonly givenUp = new Map<number, number>()
  private lookedMs = -Infinity
  private next = 0
  private topicId = ''
  private bytes = 0
  private reading: Promise<void> | null = null

  constructor(log: Log, clock: Clock) {
    this.log = log
    this.clock = clock
  }
  /** It is known, or was looked for in vain a moment ago. */
  isSettled(id: number): boolean {
    return this.byId.has(id) || (this.isGivenUp(id) && this.clock.monotonic() < this.lookedMs + lookMs)
  }
  private isGivenUp(id: number): boolean {
    const until = this.givenUp.get(id)
    return until !== undefined && this.clock.monotonic() < until
  }
  /** Reads on until the ids are known, or have been waited for long enough. Throws the log's faults, and when aborted. */
  async settle(ids: readonly number[], signal?: AbortSignal): Promise<void> {
    const endMs = this.clock.monotonic() + waitMs
    for (;;) {
      signal?.throwIfAborted()
      await this.readOn()
      this.lookedMs = this.clock.monotonic()
      const missing = ids.filter((id) => !this.byId.has(id) && !this.isGivenUp(id))
      if (missing.length === 0) return
      if (this.clock.monotonic() >= endMs) {
        if (this.givenUp.size > limits.schemaIdsMissing) this.givenUp.clear()
        for (const id of missing) this.givenUp.set(id, this.clock.monotonic() + patienceMs)
        return
      }
      await this.clock.sleep(pollMs, signal)
    }
  }
  /** Throws Fault schema.unknown-id, schema.invalid-schema. */
  avro(id: number): AvroSchema {
    const make: Make = ({ text }, references) =>
      parseAvro(
        text,
        references.map((one) => one.text),
      )
    return this.made(id, 'AVRO', make) as AvroSchema
  }
  /** Throws Fault schema.unknown-id, schema.invalid-schema. */
  protobuf(id: number): ProtoFile {
    const make: Make = ({ text }, references) =>
      parseProtobuf(text, new Map(references.map((one) => [one.name, one.text])))
    return this.made(id, 'PROTOBUF', make) as ProtoFile
  }
  private made(id: number, type: RegisteredSchema['type'], make: Make): AvroSchema | ProtoFile {
    const schema = this.byId.get(id)
    if (schema === undefined) throw new Fault('schema.unknown-id', { id })
    if (schema.type !== type) throw idFault(id, `it is a schema of ${schema.type}, the format here is ${type}`)
    let parsed = this.parsed.get(id)
    if (parsed === undefined) {
      // Not kept: what is missing may come.
      const references = this.referencesOf(schema)
      try {
        parsed = make(schema, references)
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'schema.invalid-schema') throw error
        parsed = idFault(id, (error.facts as { why: string }).why)
      }
      this.parsed.set(id, parsed)
    }
    if (parsed instanceof Fault) throw parsed
    return parsed
  }
  /** What it refers to, directly or not: each once, those that others use before them. */
  private referencesOf(schema: RegisteredSchema): Referred[] {
    const found: Referred[] = []
    const seen = new Set<string>()
    const visit = (references: readonly Reference[]): void => {
      for (const { name, subject, version } of references) {
        const key = `${subject}\0${version}`
        if (seen.has(key)) continue
        seen.add(key)
        const other = this.byVersion.get(key)
        if (other === undefined)
          throw idFault(schema.id, `it refers to version ${version} of ${subject}, which is not there`)
        if (seen.size > limits.schemaReferences)
          throw idFault(schema.id, `it refers to more than ${limits.schemaReferences} schemas`)
        visit(other.references)
        found.push({ name, text: other.text })
      }
    }
    visit(schema.references)
    return found
  }

  // The topic.

  private readOn(): Promise<void> {
    this.reading ??= this.readTopic().finally(() => (this.reading = null))
    return this.reading
  }
  private async readTopic(): Promise<void> {
    const info = await this.log.topics.get(schemasTopic)
    if (info === null) return
    // Made anew, it is another registry's: ids that are known stay what they are.
    if (info.id !== this.topicId) this.next = 0
    this.topicId = info.id
    const [bounds] = await this.log.bounds([partition])
    this.next = Math.max(this.next, bounds!.start)
    const reader = this.log.reader({ maxBytes: 1 << 20 })
    while (this.next < bounds!.stable) {
      const [chunk] = await reader.read([{ partition, offset: offset(this.next) }], { ms: pollMs })
      if (chunk === undefined) return
      if ('fault' in chunk) throw chunk.fault
      for (const batch of chunk.batches)
        for (const record of decodeBatch(batch)) if (record.offset >= this.next) this.take(record.key, record.value)
      if (chunk.next <= this.next) return
      this.next = chunk.next
    }
  }
  /** What is not a schema, or none that can be kept, is passed over: other tools write here too. */
  private take(key: Uint8Array | null, value: Uint8Array | null): void {
    const name = objectOf(key)
    const schema = objectOf(value)
    if (name === null || schema === null || name['keytype'] !== 'SCHEMA') return
    const { id, schema: text, subject, version, schemaType = 'AVRO', references } = schema
    if (typeof id !== 'number' || typeof text !== 'string' || typeof subject !== 'string') return
    if (schemaType !== 'AVRO' && schemaType !== 'PROTOBUF' && schemaType !== 'JSON') return
    // Other contexts have ids of their own.
    const isElsewhere = subject.startsWith(':.') && !subject.startsWith(':.:')
    if (isElsewhere || text.length > limits.schemaBytes || this.bytes + text.length > limits.schemasBytes) return
    const made = { id, type: schemaType, text, references: referencesOf(references) } as const
    if (!this.byId.has(id)) {
      this.byId.set(id, made)
      this.bytes += text.length
    }
    // Under several subjects a schema has one id.
    this.byVersion.set(`${subject}\0${String(version)}`, this.byId.get(id)!)
    this.givenUp.delete(id)
  }
}
const idFault = (id: number, why: string): Fault =>
  new Fault('schema.invalid-schema', { field: `the schema with the id ${id}`, why })
function objectOf(bytes: Uint8Array | null): Readonly<Record<string, unknown>> | null {
  if (bytes === null || bytes.length > 4 * limits.schemaBytes) return null
  try {
    const parsed: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
    return typeof parsed === 'object' && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : null
  } catch {
    return null
  }
}
function referencesOf(value: unknown): Reference[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((one: unknown) => {
    const { name, subject, version } = (one ?? {}) as Readonly<Record<string, unknown>>
    return typeof name === 'string' && typeof subject === 'string' && typeof version === 'number'
      ? [{ name, subject, version }]
      : []
  })
}

const ofLogs = new WeakMap<Log, Schemas>()
/** Those of a log: whoever reads its topics shares them. */
export function schemasOf(log: Log, clock: Clock): Schemas {
  let schemas = ofLogs.get(log)
  if (schemas === undefined) ofLogs.set(log, (schemas = new Schemas(log, clock)))
  return schemas
}
