/**
 * The Pub/Sub gateway under SIGKILL: publishers and consumers of plain, ordered and exactly-once subscriptions; consumers
 * die at random, the server too. Nothing that was answered is lost, what has a key comes in its order, and what was
 * acknowledged exactly once does not come again.
 */
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { PubsubWork } from '../pubsub-work.ts'

export const pubsubKill: FaultCase = {
  name: 'pubsub-kill',
  says: 'Pub/Sub publishers and consumers; kills of consumers and of the server',
  run: kills,
}
const kinds = [
  { name: 'plain', ordered: false, exact: false },
  { name: 'ordered', ordered: true, exact: false },
  { name: 'exact', ordered: false, exact: true },
  { name: 'both', ordered: true, exact: true },
]
/** Leases of those that died last 10 s. */
const silentMsMax = 45_000

async function kills({ times, random, folder, note }: Context): Promise<Outcome> {
  const rounds = times(5, 100)
  const [port] = await freePorts()
  const args = ['--listen', `pubsub=127.0.0.1:${port}`, '--kafka-partitions', '3']
  let product: Millrace = await startFirst({ data: folder, args })
  const work = new PubsubWork(`127.0.0.1:${port}`, kinds, random)
  await work.start(2)
  for (let round = 0; round < rounds; round++) {
    const untilMs = performance.now() + between(random, 1_500, 4_000)
    while (performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 300))
      work.killSome()
    }
    await product.kill('SIGKILL')
    product = await startAgain(product, { args })
    note(`${round + 1} kills, ${work.messages} messages`)
  }
  const problems = await work.finish(silentMsMax)
  await product.stop()
  const figures = Object.fromEntries(
    work.ledgers.map(({ kind, deliveries }) => [`deliveries ${kind.name}`, deliveries]),
  )
  return { figures: { kills: rounds, messages: work.messages, ...figures }, problems }
}
