/**
 * What queries cost on this checkout and on another, in turns over the same events: µs of CPU an event, the smallest of all runs.
 *
 *   node bench/nexmark/turns.ts OTHER_CHECKOUT --queries q4,q20 [--events 300000] [--processes 2] [--runs 3]
 *
 * Each process loads the events and makes the query's view `runs` times; which of the two comes first changes. Both are given
 * the settings of V8 of this checkout, and their dependencies must be installed.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { eventsFile } from './index.ts'
import { queries } from './queries.ts'
import { Ours } from './sides.ts'

interface Asked {
  readonly query: string
  readonly events: number
  readonly runs: number
}
async function costs(checkout: string, { query, events, runs }: Asked): Promise<number[]> {
  await using ours = await Ours.start(join(checkout, 'bench/nexmark/ours.ts'))
  await ours.ask({ what: 'load', file: eventsFile(events) })
  const found: number[] = []
  for (let run = 0; run < runs; run++) {
    const { cpuSeconds } = await ours.ask({ what: 'view', query, output: false })
    found.push((cpuSeconds / events) * 1e6)
  }
  return found
}
async function inTurns(other: string, processes: number, asked: Asked): Promise<void> {
  const here = fileURLToPath(new URL('../..', import.meta.url))
  const found = new Map<string, number[]>([
    [other, []],
    [here, []],
  ])
  for (let n = 0; n < processes; n++)
    for (const checkout of n % 2 === 0 ? [other, here] : [here, other])
      found.get(checkout)!.push(...(await costs(checkout, asked)))
  const least = (checkout: string): string => Math.min(...found.get(checkout)!).toFixed(2)
  process.stdout.write(`${asked.query}: ${least(other)} there, ${least(here)} here\n`)
}

const { values, positionals } = parseArgs({
  options: {
    queries: { type: 'string', default: Object.keys(queries).join() },
    events: { type: 'string', default: '300000' },
    processes: { type: 'string', default: '2' },
    runs: { type: 'string', default: '3' },
  },
  allowPositionals: true,
})
const [other] = positionals
const unknown = values.queries.split(',').find((query) => queries[query] === undefined)
if (other === undefined || unknown !== undefined) {
  process.stderr.write(
    `${other === undefined ? 'Give the folder of another checkout.' : `There is no query ${unknown}.`}\n`,
  )
  process.exitCode = 2
} else
  for (const query of values.queries.split(','))
    await inTurns(other, Number(values.processes), {
      query,
      events: Number(values.events),
      runs: Number(values.runs),
    })
