/**
 * `npm run test:faults [-- [name…] [--quick] [--part F] [--seed N]]`: kills, power cuts, injected errors, hostile bytes, each against
 * the product as a process of its own. Names choose cases whose name contains one. A failed case keeps its folder.
 */
import { spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Context, type FaultCase, type Outcome, randomFrom } from './case.ts'
import { administration } from './cases/administration.ts'
import { bodies } from './cases/bodies.ts'
import { clocks } from './cases/clocks.ts'
import { cluster } from './cases/cluster.ts'
import { connections } from './cases/connections.ts'
import { changes } from './cases/changes.ts'
import { definitions } from './cases/definitions.ts'
import { diskError } from './cases/disk-error.ts'
import { diskFull } from './cases/disk-full.ts'
import { eventHubsFrames } from './cases/eventhubs-frames.ts'
import { eventHubsKill } from './cases/eventhubs-kill.ts'
import { flow } from './cases/flow.ts'
import { frames } from './cases/frames.ts'
import { histories } from './cases/histories.ts'
import { gatewaysDiskError } from './cases/gateways-disk-error.ts'
import { gatewaysDiskFull } from './cases/gateways-disk-full.ts'
import { holdUps } from './cases/hold-ups.ts'
import { idle } from './cases/idle.ts'
import { kill } from './cases/kill.ts'
import { kinesisFrames } from './cases/kinesis-frames.ts'
import { kinesisKill } from './cases/kinesis-kill.ts'
import { mqttKills } from './cases/mqtt.ts'
import { mqttFrames } from './cases/mqtt-frames.ts'
import { shares } from './cases/shares.ts'
import { shortCalls } from './cases/short-calls.ts'
import { soak } from './cases/soak.ts'
import { pubsubFrames } from './cases/pubsub-frames.ts'
import { pubsubKill } from './cases/pubsub-kill.ts'
import { pubsubSnapshots } from './cases/pubsub-snapshots.ts'
import { nexmark } from './cases/nexmark.ts'
import { oneId } from './cases/one-id.ts'
import { lyingDisk, powerCutExt4, powerCutXfs } from './cases/power-cut.ts'

const cases: readonly FaultCase[] = [
  kill,
  shares,
  oneId,
  histories,
  clocks,
  holdUps,
  powerCutXfs,
  powerCutExt4,
  lyingDisk,
  diskError,
  shortCalls,
  diskFull,
  gatewaysDiskFull,
  gatewaysDiskError,
  flow,
  nexmark,
  changes,
  definitions,
  administration,
  frames,
  mqttFrames,
  mqttKills,
  pubsubKill,
  pubsubSnapshots,
  pubsubFrames,
  bodies,
  eventHubsFrames,
  eventHubsKill,
  kinesisFrames,
  kinesisKill,
  connections,
  idle,
  soak,
  cluster,
]

const quickCaseMsMax = 300_000
const problemLengthMax = 1_500

interface Options {
  readonly names: readonly string[]
  readonly quick: boolean
  /** Of the full form: it may be run in parts, each with another seed. */
  readonly part: number
  readonly seed: number
}

function parse(words: readonly string[]): Options {
  const names: string[] = []
  let quick = false
  let part = 1
  let seed = Math.floor(Math.random() * 2 ** 31)
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (word === '--quick') quick = true
    else if (word === '--part') part = Number(words[++i])
    else if (word === '--seed') seed = Number(words[++i])
    else if (word.startsWith('--')) usage(`unknown option ${word}`)
    else names.push(word)
  }
  if (!Number.isSafeInteger(seed)) usage('--seed takes a whole number')
  if (!(part > 0 && part <= 1)) usage('--part takes a number above 0 and up to 1')
  return { names, quick, part, seed }
}

function usage(problem: string): never {
  console.error(`${problem}\nusage: npm run test:faults -- [name…] [--quick] [--part F] [--seed N]\ncases:`)
  for (const { name, says } of cases) console.error(`  ${name.padEnd(16)} ${says}`)
  process.exit(2)
}

/** The checkers first: a checker that misses a planted fault makes every case below worthless. */
function checkersCatchPlantedFaults(): boolean {
  const files = globSync('test/faults/*.test.ts')
  if (files.length === 0) throw new Error('the tests of the checkers were not found; run this from the repository')
  return spawnSync(process.execPath, ['--test', '--test-reporter=dot', ...files], { stdio: 'inherit' }).status === 0
}

async function runCase(one: FaultCase, options: Options): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), `millrace-${one.name}-`))
  const context: Context = {
    quick: options.quick,
    times: (quick, full) => (options.quick ? quick : Math.ceil(full * options.part)),
    random: randomFrom(options.seed),
    folder,
    note: (text) => console.error(`    ${text}`),
  }
  let outcome: Outcome
  try {
    outcome = await withinTime(one.run(context), options.quick)
  } catch (error) {
    outcome = { figures: {}, problems: [error instanceof Error ? (error.stack ?? error.message) : String(error)] }
  }
  if ('skipped' in outcome || outcome.problems.length === 0) rmSync(folder, { recursive: true, force: true })
  else console.error(`    kept: ${folder}`)
  return outcome
}

/** A case that hangs is a failed one. Full forms take hours and are watched by people. */
async function withinTime(running: Promise<Outcome>, quick: boolean): Promise<Outcome> {
  if (!quick) return running
  const timer = new AbortController()
  const late = sleep(quickCaseMsMax, null, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`not ended within ${quickCaseMsMax / 1000} s`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([running, late])
  } finally {
    timer.abort()
  }
}

function report(one: FaultCase, outcome: Outcome, seconds: number): string {
  const head = `${one.name.padEnd(16)} ${seconds.toFixed(1).padStart(7)} s`
  if ('skipped' in outcome) return `skip  ${head}  ${outcome.skipped}`
  const figures = Object.entries(outcome.figures).map(([name, value]) => `${name} ${value}`)
  const line = `${outcome.problems.length === 0 ? 'ok  ' : 'FAIL'}  ${head}  ${figures.join(' · ')}`
  return [line, ...outcome.problems.map((problem) => `        ${problem.slice(0, problemLengthMax)}`)].join('\n')
}

// Processes and mounts are cleaned up on 'exit', which a signal alone does not bring.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const options = parse(process.argv.slice(2))
const chosen = cases.filter(
  ({ name }) => options.names.length === 0 || options.names.some((word) => name.includes(word)),
)
if (chosen.length === 0) usage(`no case matches ${options.names.join(' ')}`)
console.error(`seed ${options.seed}${options.quick ? ', quick form' : `, ${options.part} of the full form`}`)
if (!checkersCatchPlantedFaults()) process.exit(1)

const lines: string[] = []
let failed = 0
let skipped = 0
for (const one of chosen) {
  console.error(`${one.name}: ${one.says}`)
  const start = performance.now()
  const outcome = await runCase(one, options)
  if ('skipped' in outcome) skipped++
  else if (outcome.problems.length > 0) failed++
  const line = report(one, outcome, (performance.now() - start) / 1000)
  console.error(line)
  lines.push(line)
}
console.log(
  `\n${lines.join('\n')}\nfaults: ${failed === 0 ? 'passed' : `${failed} FAILED`}, ${skipped} skipped, seed ${options.seed}`,
)
process.exit(failed === 0 ? 0 : 1)
