/**
 * The Kinesis gateway under kill -9, often in the middle of a change of shards: what was answered is there, records and acts;
 * an act that was not answered is done whole or not at all; open shards cover every hash key once, closed ones have an end and
 * children; who reads parents before children gets each record once, those of a key in order.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { kinesisCaller } from '../../gateway/kinesis/fixture.ts'
import { type Millrace, freePorts } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, between, startAgain, startFirst } from '../case.ts'
import { type Life, Slot } from '../kinesis-work.ts'

export const kinesisKill: FaultCase = {
  name: 'kinesis-kill',
  says: 'kill -9 under Kinesis clients, amid splits, merges and scaling; readers follow parents to children',
  run: kills,
}
const writersOfEach = 3
const shardsMax = 80
/** How long a stream is CREATING, UPDATING or DELETING, in turn. */
const changeTimes = [0, 0, 0, 60, 250]

async function kills({ times, random, folder, note }: Context): Promise<Outcome> {
  const rounds = times(16, 250)
  const [port] = await freePorts()
  const argsOf = (changeMs: number): string[] => [
    ...['--listen', `kinesis=127.0.0.1:${port}`, '--workers', '0'],
    ...(changeMs === 0 ? [] : ['--kinesis', `change-time=${changeMs}ms`]),
  ]
  let product: Millrace = await startFirst({ data: folder, args: argsOf(0) })
  const problems: string[] = []
  const options = { f: kinesisCaller(port!), http: product.http, random, problems }
  const slots = [
    new Slot('long-0', true, options),
    new Slot('long-1', true, options),
    new Slot('short-0', false, options),
    new Slot('short-1', false, options),
  ]
  let killed = 0
  let amid = 0
  let changeMs = 0
  try {
    for (let round = 0; round < rounds && problems.length === 0; round++) {
      const life: Life = { dead: false, changeMs }
      const running = slots.flatMap((slot) => [
        slot.change(life),
        ...Array.from({ length: writersOfEach }, (_, i) => slot.write(`${slot.name}-${i}`, life)),
      ])
      if (random() < 0.9) await sleep(between(random, 200, 1_000))
      if (random() < 0.85) await amidResharding(slots, changeMs, random)
      if (slots.some(({ isResharding }) => isResharding)) amid++
      life.dead = true
      killed++
      await product.kill('SIGKILL')
      await Promise.all(running)
      // Some start is killed too: what it was finishing is finished by the next.
      if (random() < 0.15) await killedStart(product, argsOf(changeMs), random)
      changeMs = changeTimes[Math.floor(random() * changeTimes.length)]!
      product = await startAgain(product, { args: argsOf(changeMs) })
      for (const slot of slots) await slot.check()
      const { StreamNames } = await options.f.ok('ListStreams', {})
      const wanted = slots.flatMap(({ name, exists }) => (exists ? [name] : []))
      if (StreamNames.join() !== wanted.join()) problems.push(`streams are ${StreamNames}, and should be ${wanted}`)
      for (const slot of slots) if (slot.shards > shardsMax) await slot.renew()
      note(`${round + 1} kills, ${amid} amid a change of shards, ${summed(slots)['records']} records`)
    }
    for (const slot of slots) await slot.verify()
    if (amid < killed / 3) problems.push(`only ${amid} kills were amid a change of shards`)
    for (const slot of slots) slot.stop()
    await product.stop()
  } finally {
    for (const slot of slots) slot.stop()
    await product[Symbol.asyncDispose]()
  }
  return { figures: { kills: killed, 'amid resharding': amid, ...summed(slots) }, problems: problems.slice(0, 20) }
}
/** A random moment in the next change of shards that is asked for, or soon after it was answered. */
async function amidResharding(slots: readonly Slot[], changeMs: number, random: () => number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<Slot>()
  for (const slot of slots) slot.onReshard = () => resolve(slot)
  const slot = await Promise.race([promise, sleep(2_000, slots[0]!)])
  for (const one of slots) one.onReshard = null
  const untilMs = performance.now() + random() * (1.2 * slot.reshardMs + changeMs)
  // Timers are too coarse.
  while (performance.now() < untilMs) await new Promise((again) => setImmediate(again))
}
async function killedStart(product: Millrace, args: readonly string[], random: () => number): Promise<void> {
  const killAfterMs = between(random, 0.3, 1.1) * product.spawnToReadyMs
  await startAgain(product, { args, killAfterMs }).then(
    (again) => again.ended,
    () => undefined,
  )
}
function summed(slots: readonly Slot[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { figures } of slots)
    for (const [name, value] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + value
  return sums
}
