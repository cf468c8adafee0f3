/**
 * The Pub/Sub gateway under SIGKILL in the middle of what is seldom done: snapshots, seeks, changes, detaching, deleting and
 * making again, schemas, dead letters; beside publishers and streaming pulls. What was answered holds after the restart,
 * what was not is done whole or not at all.
 */
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { Actor } from '../pubsub-actors.ts'
import { Letters } from '../pubsub-letters.ts'
import { Server } from '../pubsub-link.ts'
import { Schemas } from '../pubsub-schemas.ts'
import { PubsubWork } from '../pubsub-work.ts'
import type { Kind } from '../pubsub-worlds.ts'

export const pubsubSnapshots: FaultCase = {
  name: 'pubsub-snapshots',
  says: 'Pub/Sub snapshots, seeks, changes and schemas; kills of the server in the middle of each',
  run: snapshots,
}
const kinds: readonly Kind[] = [
  { name: 'plain-kept', ordered: false, exact: false, retains: true },
  { name: 'plain', ordered: false, exact: false, retains: false },
  { name: 'ordered-kept', ordered: true, exact: false, retains: true },
  { name: 'exact-kept', ordered: false, exact: true, retains: true },
  { name: 'exact', ordered: false, exact: true, retains: false },
  { name: 'both-kept', ordered: true, exact: true, retains: true },
]
/** What it dies in, in turn. */
const middles = [
  ...['Seek to a snapshot', 'CreateSnapshot', 'Seek to a time', 'UpdateSubscription', 'Acknowledge'],
  ...['Seek to a snapshot', 'DeleteSubscription', 'Seek to a time', 'CreateSubscription', 'DeleteTopic'],
  ...['DeleteSchema', 'CreateTopic', 'CreateSnapshot', 'DetachSubscription', 'a last ModifyAckDeadline'],
  ...['Seek to a snapshot', 'CommitSchema', 'DeleteSnapshot', 'RollbackSchema', 'a last ModifyAckDeadline'],
]
const silentMsMax = 45_000
/** Deaths after which an actor may end its doubts undisturbed, and how long that takes at most. */
const doubtsMax = 4
const settleMsMax = 90_000
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
/** Locks that hold over a death are waited for: not every death may come in between. */
async function settled(actors: readonly Actor[], server: Server): Promise<void> {
  const untilMs = performance.now() + settleMsMax
  const isOld = ({ doubtsSince }: Actor): boolean => doubtsSince !== null && server.deaths - doubtsSince >= doubtsMax
  if (!actors.some(isOld)) return
  while (actors.some(({ doubtsSince }) => doubtsSince !== null) && performance.now() < untilMs) await pause(100)
}

async function snapshots({ times, random, folder, note }: Context): Promise<Outcome> {
  const rounds = times(12, 120)
  const [port] = await freePorts()
  const args = ['--listen', `pubsub=127.0.0.1:${port}`, '--kafka-partitions', '3']
  let product: Millrace = await startFirst({ data: folder, args })
  const address = `127.0.0.1:${port}`
  const server = new Server(address, random)
  const load = new PubsubWork(address, [{ name: 'load', ordered: true, exact: false }], random)
  await load.start(3)
  const actors = kinds.map((kind) => new Actor(kind, server, random))
  const parts = [...actors, new Letters(server, random), new Schemas(server, random)]
  const running = parts.map((part) => part.run())
  const told = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    await pause(between(random, 500, 2_000))
    await settled(actors, server)
    await server.middleOf(middles[round % middles.length]!, 6_000)
    server.isDown()
    await product.kill('SIGKILL')
    product = await startAgain(product, { args })
    server.isUp()
    const found = parts.flatMap((part) => part.found).filter((one) => !told.has(one))
    for (const one of found) told.add(one)
    note([`${round + 1} kills`, ...found].join('\n      '))
  }
  for (const part of parts) part.stopping = true
  await Promise.all(running)
  const problems = [...parts.flatMap((part) => part.found), ...(await load.finish(silentMsMax))]
  await product.stop()
  const done = new Map<string, number>()
  for (const part of parts) for (const [what, count] of part.done) done.set(what, (done.get(what) ?? 0) + count)
  const inMiddle = Array.from(server.diedIn, ([what, count]) => [`died in ${what}`, count])
  return { figures: { kills: rounds, ...Object.fromEntries([...done, ...inMiddle]) }, problems }
}
