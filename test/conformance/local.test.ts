/** The local log: on a real disk, in memory, on a simulated disk that dies between cases, and misbehaving on purpose. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { World } from '../../src/lib/world.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { conformance } from './conformance.ts'
import { misbehaving } from './misbehaving.ts'
import type { Subject } from './support.ts'

async function opened(world: World, dir: string, wrap: (log: Log) => Log = (log) => log): Promise<Subject> {
  const log = wrap(await openLocalLog({ world, dir }))
  return {
    log,
    now: () => world.clock.now(),
    sleep: (ms) => world.clock.sleep(ms),
    run: (program) => program(),
    close: () => log.close(),
  }
}

conformance('local log on a real disk', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-conformance-'))
  const subject = await opened(realWorld(), dir)
  return { ...subject, close: () => subject.close().then(() => rmSync(dir, { recursive: true })) }
})

conformance('local log in memory', () => opened({ ...realWorld(), disk: memoryDisk() }, '/data'))

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
conformance(`local log on a simulated disk, dying between cases (SEED=${seed})`, async () => {
  const world = simulate(seed)
  const chance = new SeededRandom(seed, 'deaths')
  const open = (): Promise<Log> => world.run(() => openLocalLog({ world, dir: '/data' }))
  let log = await open()
  return {
    get log(): Log {
      return log
    },
    now: () => world.clock.now(),
    sleep: (ms) => world.clock.sleep(ms),
    run: (program) => world.run(program),
    async between() {
      if (chance.chance(0.5)) world.powerCut()
      else world.kill()
      log = await open()
    },
    close: () => world.run(() => log.close()),
    skips: { 'a reader behind a port reads the same': 'a message port does not go by virtual time' },
  }
})

conformance(`local log that misbehaves (SEED=${seed})`, () => {
  const world = { ...realWorld(), disk: memoryDisk() }
  return opened(world, '/data', (log) => misbehaving(log, world.clock, new SeededRandom(seed, 'misbehaviour')))
})
