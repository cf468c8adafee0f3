/**
 * Millrace beside Apache Flink on the Nexmark queries: events per CPU-second, each engine alone on the same core, in turns.
 * First each query is checked on events of which Flink's results are known; one that is wrong is not measured.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDir } from '../../test/interop/setup/index.ts'
import { type Report, type RowSpec, median } from '../lib/rows.ts'
import { type NexmarkOptions, nexmarkEvents, writeNexmark } from './generate.ts'
import { queries } from './queries.ts'
import { type QueryResult, runNexmark } from './run.ts'
import { Flink, Ours, type Run } from './sides.ts'

export interface BenchOptions {
  readonly quick: boolean
  readonly runs: number | null
  readonly events: number | null
  /** Without Flink. */
  readonly ours: boolean
}
const full = { runs: 3, events: 3_000_000 }
const quick = { runs: 1, events: 300_000 }
/** One of a kind each: a projection, a window, groups with distinct counts, a join that keeps texts. */
const quickQueries = ['q1', 'q5', 'q16', 'q20']
const shape = { seed: 7, rate: 10_000 }
/** The file of `test/nexmark/expected` that is checked in the quick form; the full form takes all. */
const files: Readonly<Record<string, NexmarkOptions>> = {
  A: { events: 100_000, seed: 1, rate: 1_000 },
  C: { events: 100_000, seed: 3, rate: 1_000, outOfOrderGroup: 1_000 },
  D: { events: 100_000, seed: 4, rate: 1_000, delayProbability: 0.02, delayMaxMs: 20_000 },
}

const kinds = {
  json: 'json',
  checkpoints: 'json, Flink with checkpoints every 1 s',
  decoded: 'decoded',
  output: 'json, with output',
} as const
type Kind = keyof typeof kinds
const goals: Readonly<Record<Kind, { readonly each: number; readonly median: number } | null>> = {
  json: { each: 4, median: 8 },
  checkpoints: { each: 4, median: 8 },
  decoded: { each: 6, median: 6 },
  output: null,
}
const unit = 'k events/CPU-s'
const rowOf = (query: string, kind: Kind): RowSpec => ({
  row: `${query} ${kinds[kind]}`,
  unit,
  better: 'higher',
  goal: goals[kind]?.each ?? null,
  alone: kind === 'output',
})
const all = Object.keys(kinds) as Kind[]
/** What is measured of our side alone. */
const ownKinds: readonly Kind[] = ['json', 'decoded', 'output']
const alone = { goal: null, alone: true }
const medianRow = (kind: Kind): RowSpec => ({
  row: `median of the ratios, ${kinds[kind]}`,
  unit: '×',
  better: 'higher',
  goal: goals[kind]!.median,
  alone: true,
})
const inMedians = all.filter((kind) => goals[kind] !== null)

/** State that grows with what came, without an end to its memory and with one. */
const memoryQueries = ['q4', 'q20']
const budget = '256MB'
const quickBudget = '16MB'
const memoryEvents = { full: 10_000_000, quick: 300_000 }
const memoryRow = (query: string, limited: boolean): RowSpec => ({
  row: `${query} memory of its state${limited ? ', with a budget' : ''}`,
  unit: 'MB',
  better: 'lower',
  // Half of Flink's. A budget is that of the state, the figure that of the process.
  goal: limited ? null : 2,
  alone: limited,
})
/** Its heap backend keeps objects. */
const flinkHeapMegabytes = 12_288
const memoryRows = memoryQueries.flatMap((query) => [memoryRow(query, false), memoryRow(query, true)])

/** Which rows there are: `ours`, without Flink; `only`, what is asked for by name. */
export interface RowsAsked {
  readonly quick: boolean
  readonly ours: boolean
  readonly only: string
}
/** The quick form has a few queries unless others are asked for. */
export function nexmarkRows({ quick: isQuick, ours, only }: RowsAsked): readonly RowSpec[] {
  if (ours)
    return Object.keys(queries).flatMap((query) => ownKinds.map((kind) => ({ ...rowOf(query, kind), ...alone })))
  const names = isQuick && only === '' ? quickQueries : Object.keys(queries)
  const speed = names.flatMap((query) => all.map((kind) => rowOf(query, kind)))
  return [...speed, ...inMedians.map(medianRow), ...memoryRows]
}

export async function benchNexmark(report: Report, options: BenchOptions): Promise<void> {
  const plan = options.quick ? quick : full
  const runs = options.runs ?? plan.runs
  const events = options.events ?? plan.events
  const asked = Object.keys(queries).filter((query) => report.wantsAny(all.map((kind) => rowOf(query, kind))))
  if (report.wantsAny(memoryRows)) await measureMemory(report, options)
  if (asked.length === 0) return
  const right = await checkAll(report, asked, options.quick ? ['A'] : Object.keys(files))
  if (right.length === 0) return
  const file = eventsFile(events)
  await using ours = await Ours.start()
  await using theirs = options.ours ? null : await Flink.start()
  await ours.ask({ what: 'load', file })
  for (const query of right)
    try {
      await measure({ report, ours, theirs, query, runs, events, file })
    } catch (error) {
      report.failed(query, error)
    }
  noteMedians(report)
}

/** Those of which we give the rows that Flink gives. */
async function checkAll(report: Report, asked: readonly string[], names: readonly string[]): Promise<string[]> {
  const wrong = new Set<string>()
  for (const name of names) {
    console.error(`checking the results of ${asked.join(', ')} on file ${name}`)
    const path = new URL(`../../test/nexmark/expected/${name}.json`, import.meta.url)
    const expected = JSON.parse(readFileSync(path, 'utf8')) as Record<string, QueryResult>
    const found = await runNexmark(nexmarkEvents(files[name]!), { only: asked, closing: true })
    for (const query of asked) {
      if (found[query]!.sha256 === expected[query]!.sha256) continue
      wrong.add(query)
      const rows = `${found[query]!.rows} rows, Flink ${expected[query]!.rows}`
      report.failed(query, new Error(`the result on file ${name} is not Flink's: ${rows}`))
    }
  }
  return asked.filter((query) => !wrong.has(query))
}

/** Made once, kept in the cache. */
export function eventsFile(events: number): string {
  const folder = join(cacheDir, 'nexmark')
  const file = join(folder, `seed-${shape.seed}-rate-${shape.rate}-events-${events}.ndjson`)
  if (existsSync(file)) return file
  console.error(`making ${events} events`)
  mkdirSync(folder, { recursive: true })
  const unfinished = `${file}.${process.pid}`
  try {
    writeNexmark(unfinished, { ...shape, events })
    renameSync(unfinished, file)
  } finally {
    rmSync(unfinished, { force: true })
  }
  return file
}

interface Measuring {
  readonly report: Report
  readonly ours: Ours
  /** null: ours alone. */
  readonly theirs: Flink | null
  readonly query: string
  readonly runs: number
  readonly events: number
  readonly file: string
}
async function measure({ report, ours, theirs, query, runs, events, file }: Measuring): Promise<void> {
  const wants = (kind: Kind): boolean => report.wantsAny([rowOf(query, kind)])
  /** A sample of each of these rows. */
  const note = (of: readonly Kind[], side: 'ours' | 'theirs', run: Run): void => {
    const [cpu, wall] = [run.cpuSeconds, run.wallSeconds].map((seconds) => seconds.toFixed(2))
    const micros = ((run.cpuSeconds / events) * 1e6).toFixed(2)
    console.error(`${query} ${kinds[of[0]!]}, ${side}: ${cpu} CPU-s (${micros} µs an event), ${wall} s by the clock`)
    report.raw({ query, of, side, ...run })
    for (const kind of of.filter(wants)) report.sample(rowOf(query, kind).row, side, events / 1_000 / run.cpuSeconds)
  }
  const fromFile = { connector: 'filesystem', path: `file://${file}`, format: 'json' }
  const fromMemory = { connector: 'nexmark', ...shape, events }
  const view = (output: boolean): ReturnType<Ours['ask']> => ours.ask({ what: 'view', query, output })

  if (wants('json') || wants('checkpoints')) {
    await view(false)
    if (wants('json')) await theirs?.run({ query, source: fromFile, checkpoints: false })
    if (wants('checkpoints')) await theirs?.run({ query, source: fromFile, checkpoints: true })
    const us = async (): Promise<void> => note(['json', 'checkpoints'], 'ours', await view(false))
    const them = async (kind: 'json' | 'checkpoints'): Promise<void> => {
      if (wants(kind) && theirs !== null)
        note([kind], 'theirs', await theirs.run({ query, source: fromFile, checkpoints: kind === 'checkpoints' }))
    }
    await inTurns(runs, [us, () => them('json'), () => them('checkpoints')])
  }
  let rows: number | null = null
  if (wants('output'))
    for (let run = 0; run < runs; run++) {
      const said = await view(true)
      rows = said.rows
      note(['output'], 'ours', said)
    }
  if (!wants('decoded')) return
  await ours.ask({ what: 'decode', query })
  const us = async (): Promise<Run> => {
    const said = await ours.ask({ what: 'decoded' })
    if (rows !== null && said.rows !== rows)
      throw new Error(`${said.rows} rows from decoded batches, ${rows} in the view`)
    return said
  }
  await us()
  await theirs?.run({ query, source: fromMemory, checkpoints: false })
  await inTurns(runs, [
    async () => note(['decoded'], 'ours', await us()),
    async () => {
      if (theirs !== null)
        note(['decoded'], 'theirs', await theirs.run({ query, source: fromMemory, checkpoints: false }))
    },
  ])
}
/** A process for each: what one has grown by, another would use again. */
async function measureMemory(report: Report, options: BenchOptions): Promise<void> {
  const events = options.events ?? (options.quick ? memoryEvents.quick : memoryEvents.full)
  const file = eventsFile(events)
  for (const query of memoryQueries) {
    const { row } = memoryRow(query, false)
    if (report.wantsAny([memoryRow(query, false)]))
      try {
        await using theirs = await Flink.start(flinkHeapMegabytes)
        const source = {
          connector: 'filesystem',
          path: `file://${file}`,
          format: 'json',
          'source.monitor-interval': '1 s',
        }
        const megabytes = await theirs.stateMegabytes(query, source)
        console.error(`${query}, Flink: ${megabytes.toFixed(0)} MB`)
        report.sample(row, 'theirs', megabytes)
      } catch (error) {
        report.failed(row, error)
      }
    const hashes: (string | undefined)[] = []
    for (const limited of [false, true]) {
      if (!report.wantsAny([memoryRow(query, false), memoryRow(query, true)])) continue
      await using ours = await Ours.start()
      await ours.ask({ what: 'load', file })
      const given = options.quick ? quickBudget : budget
      const said = await ours.ask({ what: 'memory', query, budget: limited ? given : null })
      const megabytes = said.grownBytes! / (1024 * 1024)
      console.error(
        `${query}, ${limited ? `budget ${given}` : 'no budget'}: ${megabytes.toFixed(0)} MB, ${said.cpuSeconds.toFixed(1)} CPU-s`,
      )
      report.raw({ query, limited, events, ...said })
      report.sample(memoryRow(query, limited).row, 'ours', megabytes)
      hashes.push(said.rowsHash)
    }
    if (hashes.length === 2 && hashes[0] !== hashes[1])
      report.failed(memoryRow(query, true).row, new Error('the rows are not those of the run without a budget'))
  }
}
/** A B, B A, A B, …: neither side always runs after the other. */
async function inTurns(runs: number, sides: readonly (() => Promise<void>)[]): Promise<void> {
  for (let run = 0; run < runs; run++) for (const side of run % 2 === 0 ? sides : sides.toReversed()) await side()
}

function noteMedians(report: Report): void {
  const rows = report.rows()
  for (const kind of inMedians) {
    const ratios = rows.filter(({ row }) => row.endsWith(` ${kinds[kind]}`) && !row.startsWith('median'))
    const found = median(ratios.flatMap(({ ratio }) => (ratio === null ? [] : [ratio])))
    if (found !== null) report.sample(medianRow(kind).row, 'ours', found)
  }
}
