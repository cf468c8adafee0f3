/** A client program that sends and reads all the time while Millrace is killed and comes back. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import { type Millrace, freePorts, startMillrace } from '../setup/index.ts'

const kills = 3
const betweenMs = 3_000
const withinMs = 90_000

/**
 * `command`: a program that prints `sent KEY/NUMBER` when that is acknowledged, in order, and `event KEY/NUMBER` when it is
 * read, as often as it is; it sends until its input is over, and says `all` then. All that was sent is read, those of a key in order.
 */
export async function livesThroughKills(
  t: TestContext,
  command: (address: string, hub: string) => readonly string[],
): Promise<void> {
  const [port, http] = await freePorts()
  const address = `127.0.0.1:${port}`
  const start = (data?: string): Promise<Millrace> =>
    startMillrace({
      http: `127.0.0.1:${http}`,
      args: ['--listen', `eventhubs=${address}`],
      ...(data === undefined ? {} : { data }),
    })
  let millrace = await start()
  t.after(() => millrace[Symbol.asyncDispose]())
  await fetch(`http://${millrace.http}/v1/topics/hub`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ partitions: 4 }),
  })
  const [file, ...words] = command(address, 'hub')
  const child = spawn(file!, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const sent: string[] = []
  const seen = new Set<string>()
  const highest = new Map<string, number>()
  const disorder: string[] = []
  let isAll = false
  createInterface(child.stdout).on('line', (line) => {
    const [what, id = ''] = line.split(' ')
    if (what === 'all') isAll = true
    if (what === 'sent') sent.push(id)
    if (what !== 'event' || seen.has(id)) return
    seen.add(id)
    const [key, number] = id.split('/') as [string, string]
    if (Number(number) < (highest.get(key) ?? -1)) disorder.push(id)
    highest.set(key, Number(number))
  })
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (const giveUp = performance.now() + withinMs; !holds(); await sleep(100)) {
      assert.equal(child.exitCode, null, 'the program has ended')
      assert.ok(
        performance.now() < giveUp,
        `not within ${withinMs} ms: ${what}; ${sent.length} sent, ${seen.size} read`,
      )
    }
  }
  await until('the first events', () => sent.length > 20 && seen.size > 20)
  for (let kill = 0; kill < kills; kill++) {
    await millrace.kill('SIGKILL')
    millrace = await start(millrace.data)
    const before = sent.length
    await until('it sends again', () => sent.length > before)
    await sleep(betweenMs)
  }
  child.stdin.end()
  await until('it ends', () => isAll)
  await until('all are read', () => sent.every((id) => seen.has(id)))
  assert.deepEqual(disorder, [])
  await millrace.stop()
}
