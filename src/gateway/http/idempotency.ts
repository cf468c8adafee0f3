/**
 * Idempotency-Key: the answer of a request is stored in the tick that stores its records, so both stand or fall
 * together, also across a crash. A record of `_millrace_idempotency` has the key (topic id, principal, key), the
 * fingerprint of the request, and the answer. In memory only where each answer lies; kept for 24 hours, after which
 * retention removes it.
 */
import { createHash } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { AgeClock } from '../../lib/age-clock.ts'
import { offset as asOffset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { decodeBatch, encodeBatch, isControl } from '../../log/batch.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log, Partition, Reader, Tick } from '../../log/log.ts'

const idempotencyTopic = '_millrace_idempotency'
const keepMs = 24 * 60 * 60 * 1000
const partition: Partition = { topic: idempotencyTopic, index: 0 }

/** Beside the answer, so that a start need not unpack it. */
const fingerprintHeader = 'fingerprint'

export interface Stored {
  readonly status: number
  readonly body: string
}
interface Entry {
  readonly fingerprint: string
  readonly offset: number
  readonly timeMs: number
}

export class Idempotency {
  readonly #ages: AgeClock
  readonly #log: Log
  readonly #commits: Commits
  readonly #reader: Reader
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>()
  readonly #running = new Map<string, Promise<unknown>>()
  #loaded: Promise<void> | null = null

  constructor(options: { clock: Clock; log: Log; commits: Commits }) {
    this.#ages = new AgeClock(options.clock)
    this.#log = options.log
    this.#commits = options.commits
    this.#reader = options.log.reader({ maxBytes: limits.batchBytes })
  }

  /**
   * Runs `work` once per key: a later call with the same fingerprint gets the stored answer, with another one Fault
   * http.idempotency-conflict. What `work` throws is not stored.
   */
  async once(
    request: { topicId: string; key: string; fingerprint: string },
    work: (append: Tick['append']) => Promise<Stored>,
  ): Promise<{ answer: Stored; replayed: boolean }> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = null
      throw error
    })
    await this.#loaded
    const id = JSON.stringify([request.topicId, null, request.key])
    // One at a time per key: who comes second sees what the first one left.
    for (let running = this.#running.get(id); running !== undefined; running = this.#running.get(id))
      await running.catch(() => {})
    const run = this.#once(id, request, work)
    this.#running.set(id, run)
    try {
      return await run
    } finally {
      this.#running.delete(id)
    }
  }

  async #once(
    id: string,
    { key, fingerprint }: { key: string; fingerprint: string },
    work: (append: Tick['append']) => Promise<Stored>,
  ): Promise<{ answer: Stored; replayed: boolean }> {
    this.#forgetOld()
    const known = this.#entries.get(id)
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) throw new Fault('http.idempotency-conflict', { key })
      return { answer: await this.#stored(known), replayed: true }
    }
    if (this.#entries.size + this.#running.size > limits.idempotencyKeys)
      throw new Fault('http.too-many', { what: 'idempotency keys within 24 hours', max: limits.idempotencyKeys })
    const { answer, entry } = await this.#commits.run(async (append) => {
      const done = await work(append)
      const timeMs = this.#ages.stamp()
      const value = gzipSync(JSON.stringify(done))
      const headers = [[fingerprintHeader, Buffer.from(fingerprint)] as const]
      const batch = encodeBatch([{ key: Buffer.from(id), value, headers, timeMs }])
      if (batch.length > this.#log.limits.batchBytes)
        throw new Fault('wire.too-large', {
          what: 'the answer to keep',
          bytes: batch.length,
          bytesMax: this.#log.limits.batchBytes,
        })
      const [at] = await append([{ partition, batch }])
      return { parts: [], result: { answer: done, entry: { fingerprint, offset: at!.offset, timeMs } } }
    })
    this.#entries.set(id, entry)
    return { answer, replayed: false }
  }
  #forgetOld(): void {
    const before = this.#ages.now() - keepMs
    for (const [id, { timeMs }] of this.#entries) {
      if (timeMs > before) return
      this.#entries.delete(id)
    }
  }

  async #load(): Promise<void> {
    await this.#ensureTopic()
    const [found] = await this.#log.findTime([partition], this.#ages.now() - keepMs)
    if (found === null || found === undefined) return
    const [bounds] = await this.#log.bounds([partition])
    let at = found.offset
    while (at < bounds!.stable) {
      const [chunk] = await this.#reader.read([{ partition, offset: at }])
      if (chunk === undefined) throw new Fault('internal', { what: `${idempotencyTopic} ends before its end` })
      if ('fault' in chunk) throw chunk.fault
      for (const batch of chunk.batches) {
        if (isControl(batch)) continue
        for (const record of decodeBatch(batch)) {
          const fingerprint = record.headers.find(([name]) => name === fingerprintHeader)?.[1]
          if (record.offset < at || record.key === null || fingerprint === undefined || fingerprint === null) continue
          const { offset, timeMs } = record
          this.#entries.set(textOf(record.key), { fingerprint: textOf(fingerprint), offset, timeMs })
        }
      }
      at = chunk.next
    }
  }
  async #ensureTopic(): Promise<void> {
    const config = {
      'cleanup.policy': 'compact,delete',
      'retention.ms': String(keepMs + keepMs / 24),
      'segment.ms': '3600000',
    }
    const [fault] = await this.#log.topics.create([{ name: idempotencyTopic, partitions: 1, config }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
  }
  async #stored({ offset }: Entry): Promise<Stored> {
    const [chunk] = await this.#reader.read([{ partition, offset: asOffset(offset) }], { ms: 1000 })
    if (chunk !== undefined && 'fault' in chunk) throw chunk.fault
    for (const batch of chunk?.batches ?? [])
      for (const record of isControl(batch) ? [] : decodeBatch(batch))
        if (record.offset === offset && record.value !== null) return readStored(record.value)
    throw new Fault('internal', { what: `the stored answer at ${idempotencyTopic}:0:${offset} is gone` })
  }
}

function readStored(value: Uint8Array): Stored {
  return JSON.parse(gunzipSync(value, { maxOutputLength: limits.decompressedBytes }).toString('utf8')) as Stored
}
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

/** Of everything that makes a request what it is. */
export function fingerprintOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest('base64url')
}

/** RFC draft: a quoted string; a bare one is taken too. Throws Fault http.invalid-parameter. */
export function readIdempotencyKey(header: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(header)
  const key = quoted === null ? header : quoted[1]!.replaceAll(/\\(["\\])/g, '$1')
  if (key === '' || key.length > limits.idempotencyKeyLength)
    throw new Fault('http.invalid-parameter', {
      name: 'Idempotency-Key',
      value: key.slice(0, 50),
      why: `it must have 1 to ${limits.idempotencyKeyLength} characters`,
    })
  return key
}
