/**
 * A system call fails once under clients of Kinesis, Pub/Sub, MQTT and Event Hubs, as in `disk-error`: what they are told is
 * sent again by their libraries, what they ask to be remembered stands when it is confirmed and can be asked for again when it
 * is not, and after a power cut (kill -9 where there are no loop devices) all that was acknowledged is there.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { between, type Context, type FaultCase, type Outcome } from '../case.ts'
import { type Figures, Gateways, add } from '../full/gateways.ts'
import { diskFailures as rules, inject, nameOfFailure as nameOf, type Rule, tracingMissing } from '../inject.ts'
import { Volume, volumesMissing } from '../volume.ts'

export const gatewaysDiskError: FaultCase = {
  name: 'gateways-disk-error',
  says: 'system calls that fail once under Kinesis, Pub/Sub, MQTT and Event Hubs',
  run: diskErrors,
}
const whenMax = 40
/** MQTT 5 has no better word. */
const unspecified = '0x80'
const injectedWithinMs = 20_000
const volumeMegabytes = 8192

async function diskErrors(context: Context): Promise<Outcome> {
  const { random } = context
  const noTracing = await tracingMissing(context.folder)
  if (noTracing !== null) return { skipped: noTracing }
  const noVolumes = await volumesMissing(context.folder)
  const volume = noVolumes === null ? await Volume.make(join(context.folder, 'xfs'), 'xfs', volumeMegabytes) : null
  if (noVolumes !== null) context.note(`kill -9 instead of power cuts: ${noVolumes}`)
  const figures: Figures = {}
  const problems: string[] = []
  try {
    await using gateways = await Gateways.start(join(volume?.path ?? context.folder, 'data'))
    for (const { told } of gateways.sides) told.alsoFails(unspecified)
    for (let round = 0; round < context.times(1, 20) && problems.length === 0; round++)
      for (const kind of rules) {
        const rule = { ...kind, when: 1 + Math.floor(between(random, 0, whenMax)) }
        await gateways.progress()
        await gateways.each((side) => side.before())
        const count = await failOnce(gateways, rule, join(context.folder, 'strace.log'))
        add(figures, nameOf(rule), count)
        await gateways.progress()
        await gateways.over(async () => {
          if (volume === null) await gateways.product.kill('SIGKILL')
          else await volume.cutAndRemount(gateways.product)
        })
        await gateways.progress()
        context.note(`${nameOf(rule)} at call ${rule.when}: ${count} injected`)
        problems.push(...gateways.problems(nameOf(rule)))
        if (problems.length > 0) break
      }
    if (problems.length === 0) {
      await gateways.finish()
      problems.push(...gateways.problems('at the end'))
    }
    gateways.count(figures)
  } finally {
    await volume?.unmount()
  }
  for (const name of rules.map(nameOf))
    if (problems.length === 0 && !(figures[name]! > 0)) problems.push(`${name} was never injected: nothing was tested`)
  return { figures, problems: [...new Set(problems)] }
}

/** Injects until the call was met, amid all that clients ask to be remembered. Gives how many calls failed. */
async function failOnce(gateways: Gateways, rule: Rule, logFile: string): Promise<number> {
  const { product } = gateways
  const injection = await inject(product.pid, rule, logFile)
  try {
    await gateways.each((side) => side.changes())
    const giveUpAt = performance.now() + injectedWithinMs
    while (injection.count === 0 && performance.now() < giveUpAt && product.running) await sleep(20)
    if (!product.running) throw new Error(`${nameOf(rule)} ended the process\n${product.log()}`)
    return injection.count
  } finally {
    await injection.stop()
  }
}
