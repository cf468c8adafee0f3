/** Millraces of this process that listen on real sockets, for connectors between them. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { type RecordInput, encodeBatch } from '../../src/log/batch.ts'
import { type Protocol, resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { readAll, text } from './fixture.ts'

/** In memory, with only that protocol. */
export async function opened(stack: AsyncDisposableStack, protocol: Protocol): Promise<Running> {
  const others = (['http', 'kafka'] as const).filter((one) => one !== protocol).map((one) => `${one}=off`)
  const settings = { data: ':memory:', listen: [...others, `${protocol}=127.0.0.1:0`], workers: '0' }
  const { config } = resolveConfig(settings, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  stack.defer(() => running.close())
  return running
}
export async function until(what: string, is: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await is()) return
    await sleep(50)
  }
  assert.fail(`not within 20 s: ${what}`)
}
export async function put({ log }: Running, topic: string, index: number, ...records: RecordInput[]): Promise<void> {
  const [appended] = await log.writer().append([{ partition: { topic, index }, batch: encodeBatch(records) }])
  assert.ok(appended !== undefined && 'offset' in appended)
}
export const plain = async ({ log }: Running, topic: string): Promise<string[]> =>
  (await readAll(log, topic)).map(({ value }) => text(value))
