/** What the cases share. Everything here goes by the interface `Log` alone, and by what it promises. */
import assert from 'node:assert/strict'
import type { Offset } from '../../src/lib/brand.ts'
import { Fault } from '../../src/lib/fault.ts'
import { type LogRecord, type RecordInput, decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import type { At, Batch, Claim, Log, Membership, Owner, Partition, Tick } from '../../src/log/log.ts'

/** A log under test. One serves many cases; each takes topics and groups of its own. */
export interface Subject {
  readonly log: Log
  /** Milliseconds since 1970, by the clock of the log. */
  now(): number
  sleep(ms: number): Promise<void>
  /** Runs a case; lets virtual time pass where there is such. */
  run<T>(program: () => Promise<T>): Promise<T>
  /** Between two cases: a restart, a crash. What was promised before still holds. */
  between?(): Promise<void>
  close(): Promise<void>
  /** How long what is committed may take to become visible, where it is more than usual. */
  readonly settleMs?: number
  /** Cases that cannot run here, with the reason. */
  readonly skips?: Readonly<Record<string, string>>
}
export type Case = (subject: Subject) => Promise<void>
export type Cases = Readonly<Record<string, Case>>

let names = 0
const run = Math.floor(performance.timeOrigin).toString(36)
/** A name that no other case uses, also not one of an earlier run against a server that lives on. */
export const fresh = (what: string): string => `${what}-${run}-${names++}`
export const at = (topic: string, index = 0): Partition => ({ topic, index })
export const zero = 0 as Offset
export const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString())

export async function newTopic(
  { log }: Subject,
  options: { partitions?: number; config?: Record<string, string> } = {},
): Promise<string> {
  const name = fresh('topic')
  const { partitions = 1, config } = options
  assert.deepEqual(await log.topics.create([{ name, partitions, ...(config === undefined ? {} : { config }) }]), [null])
  return name
}
export function batchOf(subject: Subject, ...values: readonly (string | RecordInput)[]): Batch {
  const timeMs = subject.now()
  return encodeBatch(
    values.map((value) => (typeof value === 'string' ? { key: null, value: Buffer.from(value), timeMs } : value)),
  )
}
export async function append(subject: Subject, partition: Partition, ...values: string[]): Promise<Offset> {
  const [appended] = await subject.log.writer().append([{ partition, batch: batchOf(subject, ...values) }])
  assert.ok(appended !== undefined && !('fault' in appended), 'the append was refused')
  return appended.offset
}

/** Records from `from` on until `count` have come, by as many reads as it takes. */
export async function take(
  subject: Subject,
  partition: Partition,
  count: number,
  options: { from?: Offset; uncommitted?: boolean; maxBytes?: number } = {},
): Promise<LogRecord[]> {
  const { from = zero, ...how } = options
  const reader = subject.log.reader(how)
  const records: LogRecord[] = []
  let offset = from
  // A cluster on a busy machine may take seconds over one append.
  const quietMax = subject.settleMs === undefined ? 4 : 40
  for (let quiet = 0; records.length < count && quiet < quietMax;) {
    const [chunk] = await reader.read([{ partition, offset }], { ms: 250 })
    assert.ok(chunk !== undefined, 'a read answers for each partition')
    if ('fault' in chunk) throw chunk.fault
    quiet = chunk.next === offset ? quiet + 1 : 0
    for (const batch of chunk.batches)
      for (const record of decodeBatch(batch)) if (record.offset >= offset) records.push(record)
    assert.ok(chunk.next >= offset, 'a read never goes back')
    offset = chunk.next
  }
  return records
}
/** All that a committed reader finds up to the stable end, as it is once nothing is on its way any more. */
export async function takeAll(subject: Subject, partition: Partition): Promise<LogRecord[]> {
  await settle(subject)
  const [bounds] = await subject.log.bounds([partition])
  const records: LogRecord[] = []
  const reader = subject.log.reader()
  for (let offset = bounds!.start; offset < bounds!.stable;) {
    const [chunk] = await reader.read([{ partition, offset }], { ms: 250 })
    if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no answer')
    for (const batch of chunk.batches)
      for (const record of decodeBatch(batch)) if (record.offset >= offset) records.push(record)
    offset = chunk.next
  }
  return records
}
/** What is committed may become visible a little later. */
export const settle = (subject: Subject): Promise<void> => subject.sleep(subject.settleMs ?? 60)
export const values = (records: readonly LogRecord[]): (string | null)[] => records.map(({ value }) => text(value))

export async function refused(code: string, doing: Promise<unknown>): Promise<void> {
  await assert.rejects(doing, (error) => error instanceof Fault && error.code === code)
}

/** Does it until it is committed. 'retry' means what it says. */
export async function commit(
  owner: Owner,
  work: (tick: Tick) => Promise<readonly { claim: Claim; positions: readonly At[] }[]>,
): Promise<{ lost: Claim[] } | 'committed'> {
  for (;;) {
    const tick = owner.begin()
    const outcome = await tick.commit(await work(tick))
    if (outcome !== 'retry') return outcome
  }
}
export async function tickOf(
  subject: Subject,
  owner: Owner,
  entries: readonly [Partition, ...string[]][],
): Promise<void> {
  const outcome = await commit(owner, async (tick) => {
    await tick.append(entries.map(([partition, ...of]) => ({ partition, batch: batchOf(subject, ...of) })))
    return []
  })
  assert.equal(outcome, 'committed')
}

export interface Held {
  readonly claim: Claim
  readonly active: readonly Partition[]
}
/** A task that accepts every change at once. */
export class Follower {
  readonly membership: Membership
  held: Held | null = null
  readonly #done: Promise<void>

  constructor(membership: Membership) {
    this.membership = membership
    this.#done = this.#follow()
  }
  async #follow(): Promise<void> {
    for await (const change of this.membership.changes()) {
      this.held = change
      change.accept()
    }
    this.held = null
  }
  async leave(): Promise<void> {
    await this.membership.leave()
    await this.#done
  }
}
/** Waits until it holds. */
export async function until(subject: Subject, what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await holds()) return
    await subject.sleep(25)
  }
  assert.fail(`never came: ${what}`)
}
export const placesOf = (partitions: readonly Partition[]): string[] =>
  partitions.map(({ topic, index }) => `${topic}/${index}`).sort()
