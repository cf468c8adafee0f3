/**
 * R10 on eight Nexmark queries: joins that grow and that restate, windows and sessions that close, DISTINCTs, top-N; all of
 * them over the same events, the process killed at random instants, also while it restores. Against the same events
 * without a kill, and against plain loops: see `nexmark-output.ts`.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { nexmarkEvents } from '../../../bench/nexmark/generate.ts'
import { closingEvent, closingQueries, definitions, queries } from '../../../bench/nexmark/queries.ts'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { feed } from '../feed.ts'
import { sql } from '../flow-output.ts'
import { type Found, againstLoops, againstUndisturbed, outputsOf } from '../nexmark-output.ts'

export const nexmark: FaultCase = { name: 'nexmark', says: 'eight Nexmark queries, killed', run: killQueries }

const runsOf = ({ times }: Context): number => times(1, 50)
const killsOf = (quick: boolean): number => (quick ? 5 : 10)
/** Name → whether its windows close. */
const names: Readonly<Record<string, boolean>> = {
  q3: false,
  q4: false,
  q5: true,
  q9: false,
  q11: true,
  q16: false,
  q18: false,
  q20: false,
}
const eventCount = 5_000
/** A minute and a half of event time. */
const rate = 55
const batchRecords = 40

async function killQueries(context: Context): Promise<Outcome> {
  const { random, note, quick } = context
  const problems: string[] = []
  let kills = 0
  let instants = 0
  let entries = 0
  for (let run = 0; run < runsOf(context) && problems.length === 0; run++) {
    const seed = Math.floor(random() * 2 ** 31)
    const disorder = [{}, { outOfOrderGroup: 200 }, { delayProbability: 0.02, delayMaxMs: 20_000 }][run % 3]!
    const events = [...nexmarkEvents({ events: eventCount, seed, rate, ...disorder }), closingEvent]
    const undisturbed = await runOnce(join(context.folder, `run-${run}-undisturbed`), events, 0, context)
    const killed = await runOnce(join(context.folder, `run-${run}`), events, killsOf(quick), context)
    const loops = againstLoops(killed, events, random)
    const found = [...loops.problems, ...againstUndisturbed(killed, undisturbed)]
    problems.push(...found.map((problem) => `seed ${seed}: ${problem}`))
    kills += killsOf(quick)
    instants += loops.instants
    entries += killed.reduce((sum, { state }) => sum + state.size, 0)
    note(`run with ${killsOf(quick)} kills: ${found.length === 0 ? 'equal' : 'DIFFERENT'}`)
  }
  const queriesOf = Object.keys(names).length
  return {
    problems,
    figures: { kills, queries: queriesOf, events: eventCount, 'states in between': instants, 'state entries': entries },
  }
}

async function runOnce(
  data: string,
  events: readonly string[],
  kills: number,
  context: Context,
): Promise<readonly Found[]> {
  const { random, note } = context
  let product: Millrace = await startFirst({ data })
  try {
    await sql(product, definitions)
    for (const [name, closes] of Object.entries(names))
      await sql(
        product,
        `CREATE MATERIALIZED VIEW ${name} WITH (allow_unbounded_state = true) AS ${(closes ? closingQueries : queries)[name]!}`,
      )
    const records = events.map((event) => ({ key: null, value: Buffer.from(event), timeMs: Date.now() }))
    const { kafka } = product
    const pause = (): Promise<void> => sleep(kills === 0 ? 0 : between(random, 0, 60))
    let fed = false
    const feeding = feed(() => kafka, { topic: 'events', partition: 0 }, records, { batchRecords, pause }).then(
      () => (fed = true),
    )
    feeding.catch(() => {})
    for (let killed = 0; killed < kills; killed++) {
      // Every third one while it restores.
      await sleep(killed % 3 === 2 ? between(random, 0, 300) : between(random, 100, 1_500))
      if (fed) note('the input ended before the last kill')
      await product.kill('SIGKILL')
      product = await startAgain(product)
    }
    await feeding
    await sql(product, 'FLUSH')
    return await outputsOf(product, names)
  } finally {
    await product[Symbol.asyncDispose]()
  }
}
