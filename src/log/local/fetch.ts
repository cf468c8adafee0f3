/** `Broker.fetch`: byte ranges as they are stored. Hot path: nothing is allocated per record or batch. */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { Turns } from '../../lib/turns.ts'
import type { Clock } from '../../lib/world.ts'
import type { FetchAnswer, FetchRequest, LogMeter } from '../broker.ts'
import type { PartitionState } from './partition.ts'
import type { Registry } from './registry.ts'
import { countRecords } from './system-log.ts'
import { type Slice, readSlice, waitForMore } from './visible.ts'

export interface FetchHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly meter: LogMeter | null
}
type Entry = FetchRequest['entries'][number]
/** Partitions of one request: each may bring a batch larger than what was asked for, which counts when it is there. */
const readsAtOnce = 8
interface Pass {
  readonly answers: FetchAnswer[]
  readonly seen: { state: PartitionState; seen: Offset }[]
  readonly bytes: number
  readonly hasFault: boolean
}

export async function fetch(host: FetchHost, request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer[]> {
  const deadlineMs = host.clock.monotonic() + request.maxWaitMs
  for (;;) {
    const pass = await readOnce(host, request)
    const leftMs = deadlineMs - host.clock.monotonic()
    const isEnough = pass.bytes >= request.minBytes || pass.hasFault || pass.seen.length === 0
    if (isEnough || leftMs <= 0 || signal.aborted) {
      if (host.meter !== null) meter(host.meter, pass.answers)
      return pass.answers
    }
    const wanted = { committedOnly: request.committedOnly, bytes: request.minBytes - pass.bytes, ms: leftMs }
    for (const { release } of pass.answers) release()
    await waitForMore(host.clock, pass.seen, wanted, signal)
  }
}

async function readOnce(host: FetchHost, request: FetchRequest): Promise<Pass> {
  const { entries, committedOnly } = request
  const answers: FetchAnswer[] = []
  const seen: { state: PartitionState; seen: Offset }[] = []
  let bytes = 0
  let hasFault = false
  const turns = new Turns(host.clock)
  for (let i = 0; i < entries.length;) {
    if (turns.isOver) await turns.next()
    const crowd = crowdOf(entries, i, request.maxBytes - bytes)
    i += crowd.length
    const read = crowd.map((entry) => readEntry(host, entry, { maxBytes: request.maxBytes - bytes, committedOnly }))
    for (const [at, result] of (await Promise.allSettled(read)).entries()) {
      const entry = crowd[at]!
      if (result.status === 'rejected') {
        hasFault = true
        answers.push(failed(entry, asFault(result.reason)))
        continue
      }
      const { state, slice } = result.value
      const kept = bytes === 0 || slice.bytes <= Math.min(entry.maxBytes, request.maxBytes - bytes)
      const told = kept ? slice : emptied(slice, entry.offset)
      bytes += told.bytes
      seen.push({ state, seen: told.upTo })
      answers.push(answer(entry, told))
    }
  }
  return { answers, seen, bytes, hasFault }
}
/** Entries that are read at once, from `at` on: together they fit what may still be answered. At least one. */
function crowdOf(entries: readonly Entry[], at: number, bytesLeft: number): readonly Entry[] {
  let bytes = entries[at]!.maxBytes
  let end = at + 1
  while (end < entries.length && end - at < readsAtOnce && bytes + entries[end]!.maxBytes <= bytesLeft)
    bytes += entries[end++]!.maxBytes
  return entries.slice(at, end)
}
async function readEntry(
  { registry }: FetchHost,
  entry: Entry,
  options: { maxBytes: number; committedOnly: boolean },
): Promise<{ state: PartitionState; slice: Slice }> {
  const state = registry.partition(entry.partition)
  checkEpoch(entry, state.log.leaderEpoch)
  const maxBytes = Math.max(0, Math.min(entry.maxBytes, options.maxBytes))
  return { state, slice: await readSlice(state, entry.offset, { maxBytes, committedOnly: options.committedOnly }) }
}
/** The first partition with anything answers with a batch of any size; the others keep to the limit. */
function emptied(slice: Slice, from: Offset): Slice {
  slice.release()
  return { ...slice, buffers: [], bytes: 0, next: from, aborted: [], release: () => {}, own: () => null }
}
function answer(entry: Entry, slice: Slice): FetchAnswer {
  const { start, highWatermark, stable, buffers, aborted, release } = slice
  return {
    partition: entry.partition,
    start,
    highWatermark,
    stable,
    records: buffers,
    aborted: aborted.map(({ producerId, first }) => ({ producerId, firstOffset: first })),
    fault: null,
    release,
  }
}
const nowhere = -1 as Offset
const failed = ({ partition }: Entry, fault: Fault): FetchAnswer => ({
  partition,
  start: nowhere,
  highWatermark: nowhere,
  stable: nowhere,
  records: [],
  aborted: [],
  fault,
  release: () => {},
})

/** Does the client talk to the log it thinks it talks to? −1 = it does not say. */
export function checkEpoch({ leaderEpoch: found }: { leaderEpoch: number }, current: number): void {
  if (found < 0 || found === current) return
  if (found < current) throw new Fault('log.fenced-leader-epoch', { found, current })
  throw new Fault('log.unknown-leader-epoch', { found, current })
}

function meter(to: LogMeter, answers: readonly FetchAnswer[]): void {
  for (const { partition, records } of answers)
    for (const buffer of records) to.read(partition.topic, countRecords(buffer), buffer.length)
}
