/** Runs the queries of so many seeds, shrinks what fails, and counts what is refused. */
import { type Case, cases } from './case.ts'
import { loosened } from './loosen.ts'
import { report } from './report.ts'
import { Arena, type Outcome } from './run.ts'
import { shrink } from './shrink.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly queries: number
  /** It stops after so many. */
  readonly failuresMax: number
  readonly log: (text: string) => void
  /** Ends it before its end. */
  readonly signal?: AbortSignal
}
export interface FuzzResult {
  readonly isGood: boolean
  readonly failures: number
  readonly summary: string
}
/** Of all queries, refused by either side. */
export const refusedMax = 0.05

export async function fuzz({ seed, queries, failuresMax, log, signal }: FuzzOptions): Promise<FuzzResult> {
  await using arena = await Arena.open()
  const refusals = new Map<string, number>()
  let [asked, refused, failures, empty] = [0, 0, 0, 0]
  for (const one of cases(seed, queries)) {
    if (signal?.aborted === true) break
    if (asked > 0 && asked % 1_000 === 0) log(`${asked} queries`)
    asked++
    let outcome = await arena.check(one.dataset, one.query, one.seed)
    let query = one.query
    if (outcome.kind === 'same' && outcome.rows === 0) {
      query = loosened(query)
      outcome = await arena.check(one.dataset, query, one.seed)
    }
    if (outcome.kind === 'same') empty += outcome.rows === 0 ? 1 : 0
    else if (outcome.kind === 'refused') {
      refused++
      const reason = reasonOf(outcome)
      refusals.set(reason, (refusals.get(reason) ?? 0) + 1)
    } else {
      failures++
      log(await shrunk(arena, { ...one, query }, outcome))
      if (failures >= failuresMax) break
    }
  }
  const isGood = failures === 0 && refused <= Math.max(2, refusedMax * asked)
  const reasons = [...refusals].toSorted(([, a], [, b]) => b - a).map(([reason, count]) => `  ${count} × ${reason}`)
  const counts = `${asked} queries from seed ${seed}: ${failures} differ, ${refused} refused, ${empty} without a row`
  return { isGood, failures, summary: [counts, ...reasons].join('\n') }
}
/** Without what is this query's own. */
const reasonOf = ({ by, reason }: Extract<Outcome, { kind: 'refused' }>): string =>
  `${by}: ${reason.replace(/"[^"]*"|\ba\d+\.\w+|-?\d[\d.]*/g, '…')}`

async function shrunk(arena: Arena, one: Case, outcome: Extract<Outcome, { kind: 'different' }>): Promise<string> {
  const small = await shrink(arena, one, outcome)
  return report(small.found, small.outcome)
}
