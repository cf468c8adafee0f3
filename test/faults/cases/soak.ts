/**
 * R13: a day in ten minutes: rolls, retention, rebalances, transactions, connections that come and go, a view,
 * all the while. Memory does not grow once the process is warm, no file stays open, and a good client waits no longer in the
 * end than in the beginning. The quick form is too short to tell a slope: it holds memory to a bound.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { between, type Context, type FaultCase, type Outcome, startFirst } from '../case.ts'
import { Canary } from '../canary.ts'
import { clicks, feedClicks } from '../flow-input.ts'
import { defineViews } from '../flow-output.ts'
import { Member } from '../member.ts'
import { megabytes, openFiles, residentBytes } from '../process.ts'
import { TransactionLoad } from '../transactions.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { listOffset, Wire } from '../wire.ts'
import { Workload } from '../workload.ts'

export const soak: FaultCase = { name: 'soak', says: 'a day in ten minutes', run: longDay }

const timesOf = (quick: boolean) => (quick ? { warmMs: 10_000, ms: 25_000 } : { warmMs: 180_000, ms: 780_000 })
const sampleMs = 1_000
const slopeMax = 1024 * 1024
const growthMax = 64 * 1024 * 1024
/** Segments come and go; what leaks adds up. */
const filesMoreMax = 30
/** A tenth more, or what a machine that does other things too adds. */
const drift = { times: 1.1, ms: 5 }
/** A segment every second or so, kept for longer than it takes to look at it. */
const configOf = (quick: boolean) => ({
  'segment.bytes': '1048576',
  'segment.ms': '1000',
  'retention.ms': quick ? '8000' : '60000',
})
/** So that resident memory is what is held, not what the collector has not looked at yet. */
const heap = { NODE_OPTIONS: '--max-old-space-size=256 --max-semi-space-size=2' }

interface Sample {
  readonly atMs: number
  readonly bytes: number
  readonly files: number
}

async function longDay(context: Context): Promise<Outcome> {
  const { random, quick, folder, note } = context
  const { warmMs, ms } = timesOf(quick)
  await using product = await startFirst({ data: folder, env: heap })
  const { kafka, pid } = product
  const config = configOf(quick)
  const load = new Workload({ address: kafka, topic: 'soak', partitions: 3, leaderCounts: true, random, config })
  const transactions = new TransactionLoad(kafka, 'soak-exactly', 2, random)
  const verifier = new Verifier(load.history, load.places)
  const canary = new Canary(kafka)
  const problems: string[] = []
  const stop = new AbortController()
  const begun = performance.now()
  let rebalances = 0
  let connections = 0
  const until = async (work: () => Promise<void>): Promise<void> => {
    while (!stop.signal.aborted) await work()
  }
  try {
    const input = clicks(Math.ceil(ms / 20), random)
    await defineViews(product, input)
    await transactions.start()
    await canary.start()
    await load.start()
    const pause = (): Promise<void> => sleep(between(random, 0, 1_500))
    const background = [
      ...input.map((part, i) => feedClicks(() => kafka, i, part, pause)),
      ...[0, 1, 2].map((i) =>
        until(async () => {
          const member = new Member(kafka, 'soak', `member-${i}`)
          await member.join()
          for (let beats = 0; beats < 4; beats++) await sleep(between(random, 100, 700)).then(() => member.mustBeat())
          await member.leave()
          member.close()
          problems.push(...member.problems)
          rebalances++
        }),
      ),
      until(async () => {
        const wires = await Promise.all(Array.from({ length: 20 }, () => Wire.open(kafka)))
        connections += wires.length
        for (const wire of wires) wire.close()
        await sleep(200)
      }),
    ]
    for (const one of background) one.catch((error: unknown) => void problems.push(String(error)))
    const samples: Sample[] = []
    const p99s: number[] = []
    while (performance.now() - begun < ms && problems.length === 0 && product.running) {
      await sleep(sampleMs)
      const atMs = performance.now() - begun
      if (atMs > warmMs) samples.push({ atMs, bytes: residentBytes(pid), files: openFiles(pid) })
      // Before retention takes away what was not looked at.
      if (samples.length % 3 === 0)
        problems.push(...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
      problems.push(...load.complaints, ...transactions.complaints)
      if (samples.length % 30 === 29) {
        p99s.push(canary.take().p99)
        note(`${Math.round(atMs / 1_000)} s: ${megabytes(samples.at(-1)!.bytes)} MB, p99 ${p99s.at(-1)} ms`)
      }
    }
    if (!product.running) throw new Error(`the process ended with ${await product.ended}\n${product.log()}`)
    stop.abort()
    if (problems.length > 0) return { problems: [...new Set(problems)], figures: {} }
    const wire = await Wire.open(kafka)
    const gone = await listOffset(wire, { topic: 'soak', partition: 0 }, -2)
    wire.close()
    if (gone === 0) problems.push('retention took nothing away: nothing was tested')
    problems.push(...canary.problems, ...judge(samples, p99s, quick))
    await load.stop()
    await transactions.stop()
    problems.push(...(await transactions.check()))
    const { committed, aborted } = transactions.counts
    return {
      problems: [...new Set(problems)],
      figures: {
        'MB after warm-up': megabytes(samples[0]!.bytes),
        'MB at the end': megabytes(samples.at(-1)!.bytes),
        ...(quick ? {} : { 'MB a minute': Math.round((slope(samples) * 60_000 * 100) / (1024 * 1024)) / 100 }),
        'open files': `${samples[0]!.files}/${samples.at(-1)!.files}`,
        'p99 ms': p99s.length === 0 ? canary.take().p99 : `${p99s[0]}/${p99s.at(-1)}`,
        'records gone': gone,
        transactions: committed + aborted,
        rebalances,
        connections,
      },
    }
  } finally {
    stop.abort()
    await canary.stop()
    transactions.abandon()
    await load.stop()
  }
}

function judge(samples: readonly Sample[], p99s: readonly number[], quick: boolean): string[] {
  const [first, last] = [samples[0]!, samples.at(-1)!]
  const problems: string[] = []
  if (last.files > first.files + filesMoreMax) problems.push(`open files: ${first.files}, then ${last.files}`)
  const grown = last.bytes - first.bytes
  if (quick && grown > growthMax) problems.push(`memory grew by ${megabytes(grown)} MB`)
  if (quick) return problems
  const perMinute = slope(samples) * 60_000
  if (perMinute > slopeMax) problems.push(`memory grows by ${Math.round(perMinute / 1024)} KiB a minute`)
  const half = Math.floor(p99s.length / 2)
  const mean = (of: readonly number[]): number => of.reduce((sum, one) => sum + one, 0) / of.length
  const [early, late] = [mean(p99s.slice(0, half)), mean(p99s.slice(half))]
  if (late > early * drift.times && late > early + drift.ms)
    problems.push(`the good client's p99 went from ${early.toFixed(1)} to ${late.toFixed(1)} ms`)
  return problems
}
/** Bytes a millisecond, by least squares. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (one: Sample) => number): number => samples.reduce((sum, one) => sum + of(one), 0) / samples.length
  const [at, bytes] = [mean((one) => one.atMs), mean((one) => one.bytes)]
  const up = samples.reduce((sum, one) => sum + (one.atMs - at) * (one.bytes - bytes), 0)
  return up / samples.reduce((sum, one) => sum + (one.atMs - at) ** 2, 0)
}
