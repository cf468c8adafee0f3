/**
 * `npm run test:simulation [-- --seeds N] [--seed FIRST]`: views through many simulated lives, some hundred seeds a process:
 * what waits in a process that died in the simulation is never given back by Node. Names the seeds that failed.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'

const seedsOfProcess = 200

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
})
const seeds = Number(values.seeds)
const firstSeed = Number(values.seed)
if (!Number.isSafeInteger(seeds) || seeds < 1 || !Number.isSafeInteger(firstSeed)) {
  console.error('usage: npm run test:simulation [-- --seeds N] [--seed FIRST]')
  process.exit(2)
}

let next = firstSeed
let done = 0
let failed = 0
const startedMs = performance.now()
await Promise.all(Array.from({ length: availableParallelism() }, worker))
const seconds = Math.round((performance.now() - startedMs) / 1000)
console.log(`${seeds} seeds from ${firstSeed} on in ${seconds} s: ${failed === 0 ? 'all equal' : `${failed} FAILED`}`)
process.exit(failed === 0 ? 0 : 1)

async function worker(): Promise<void> {
  while (next < firstSeed + seeds) {
    const from = next
    const count = Math.min(seedsOfProcess, firstSeed + seeds - from)
    next += count
    const { code, text } = await ran(from, count)
    done += count
    if (code !== 0) {
      failed++
      console.log(
        text
          .split('\n')
          .filter((line) => !/^\s+at /.test(line))
          .join('\n'),
      )
    }
    console.error(`${done} of ${seeds} seeds`)
  }
}
function ran(from: number, count: number): Promise<{ code: number | null; text: string }> {
  const child = spawn(process.execPath, ['sim/flow-seeds.ts', String(from), String(count)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let text = ''
  child.stderr.on('data', (part) => (text += String(part)))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })))
}
