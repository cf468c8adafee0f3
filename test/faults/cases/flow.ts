/**
 * R10: views over a known input, the process killed at random instants while they work. What they hold and what their
 * topics gave to a committed reader must be exactly what the input implies: no row missing, none twice, none changed. The
 * same input without a kill is checked too, so a wrong view is not blamed on the kills.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { type Click, clicks, expectedOutputs, feedClicks } from '../flow-input.ts'
import { compare, defineViews, type Outputs, settledOutputs } from '../flow-output.ts'

export const flow: FaultCase = { name: 'flow', says: 'views, killed while they work', run: killViews }

const runsOf = ({ times }: Context): number => times(1, 50)
const killsOf = (quick: boolean): number => (quick ? 4 : 10)
const clickCount = 12_000

async function killViews(context: Context): Promise<Outcome> {
  const { random, note, quick } = context
  const problems: string[] = []
  let kills = 0
  let rows = 0
  for (let run = 0; run <= runsOf(context) && problems.length === 0; run++) {
    const input = clicks(clickCount, random)
    // The first run is the one without a kill.
    const wanted = run === 0 ? 0 : killsOf(quick)
    const outputs = await runOnce(join(context.folder, `run-${run}`), input, wanted, context)
    const found = compare(outputs, expectedOutputs(input)).map((problem) => `with ${wanted} kills: ${problem}`)
    problems.push(...found)
    kills += wanted
    rows += Object.values(outputs).reduce((total, lines) => total + lines.length, 0)
    note(`run with ${wanted} kills: ${found.length === 0 ? 'equal' : 'DIFFERENT'}`)
  }
  return { problems, figures: { kills, clicks: clickCount, 'rows compared': rows } }
}

async function runOnce(data: string, input: readonly Click[][], kills: number, context: Context): Promise<Outputs> {
  let product: Millrace = await startFirst({ data })
  try {
    await defineViews(product, input)
    const { kafka } = product
    const pause = (): Promise<void> => sleep(between(context.random, 0, kills === 0 ? 4 : 30))
    let fed = false
    const feeding = Promise.all(input.map((part, partition) => feedClicks(() => kafka, partition, part, pause))).then(
      () => (fed = true),
    )
    feeding.catch(() => {})
    for (let killed = 0; killed < kills; killed++) {
      await sleep(between(context.random, 100, 1_500))
      if (fed) context.note('the input ended before the last kill')
      await product.kill('SIGKILL')
      product = await startAgain(product)
    }
    await feeding
    return await settledOutputs(product, input)
  } finally {
    await product[Symbol.asyncDispose]()
  }
}
