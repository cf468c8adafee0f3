import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { positionsTopic } from '../../src/connect/positions.ts'
import { Outside, type Started, readAll, start, text, write } from './fixture.ts'

const source = { name: 'in', kind: 'outside', direction: 'source', settings: { into: 'events' } } as const
const sink = { name: 'out', kind: 'outside', direction: 'sink', settings: { topics: 'events' } } as const
const gone = new Fault('cluster.unavailable', { what: 'a test', why: 'it is away' })
const shut = new Fault('cluster.authentication-failed', { user: 'a', mechanism: 'PLAIN', why: 'a test' })
const values = async (run: Started, topic = 'events'): Promise<string[]> =>
  (await readAll(run.log, topic)).map(({ value }) => text(value))
const isFault =
  (code: string, fact?: RegExp) =>
  (error: unknown): boolean =>
    error instanceof Fault && error.code === code && (fact === undefined || fact.test(error.message))
const events = { name: 'events', partitions: 1 }

test('a source brings what is outside, in order, and says its counts and lag', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events])
    outside.send('a', 'b', 'c', 'd')
    await run.connectors.create(source)
    await machine.clock.sleep(500)
    assert.deepEqual(await values(run), ['a', 'b', 'c', 'd'])
    outside.send('e')
    await machine.clock.sleep(500)
    assert.deepEqual(await values(run), ['a', 'b', 'c', 'd', 'e'])
    const info = (await run.connectors.get('in'))!
    assert.deepEqual([info.status, info.records, info.lag, info.refused, info.restarts], ['running', 5, 0, 0, 0])
    assert.ok(info.bytes > 5)
    assert.equal(outside.settled, 5)
    await run.close()
  })
})

test('whatever instant the process dies at, everything outside comes exactly once', async () => {
  const seed = Number(process.env['SEED'] ?? 11)
  for (let run = 0; run < 12; run++) {
    const machine = simulate(seed + run)
    const outside = new Outside()
    const wanted = Array.from({ length: 40 }, (_, i) => String(i))
    let running = await machine.run(() => start(machine, outside))
    await machine.run(async () => {
      await running.log.topics.create([events])
      await running.connectors.create(source)
    })
    for (let sent = 0; sent < wanted.length; sent += 10) {
      await machine.run(async () => {
        outside.send(...wanted.slice(sent, sent + 10))
        // A tick takes some milliseconds here: the end comes within one.
        await machine.clock.sleep(machine.random.fraction() * 12)
      })
      machine.kill()
      running = await machine.run(() => start(machine, outside))
    }
    await machine.run(async () => {
      await machine.clock.sleep(2_000)
      assert.deepEqual(await values(running), wanted, `seed ${seed + run}`)
      await running.close()
    })
  }
})

test('a sink carries out what is there and what comes, and goes on where it was after a restart', async () => {
  const machine = simulate(3)
  const outside = new Outside()
  const first = await machine.run(() => start(machine, outside))
  await machine.run(async () => {
    await first.log.topics.create([events])
    await write(first.log, 'events', 'a', 'b')
    await first.connectors.create(sink)
    await machine.clock.sleep(500)
    await write(first.log, 'events', 'c')
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['a', 'b', 'c'])
    assert.equal((await first.connectors.get('out'))!.lag, 0)
  })
  machine.kill()
  const second = await machine.run(() => start(machine, outside))
  await machine.run(async () => {
    await write(second.log, 'events', 'd')
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['a', 'b', 'c', 'd'])
    await second.close()
  })
})

test('a sink that dies repeats at most what it was about, and leaves out nothing', async () => {
  for (let seed = 20; seed < 30; seed++) {
    const machine = simulate(seed)
    const outside = new Outside()
    let run = await machine.run(() => start(machine, outside))
    await machine.run(async () => {
      await run.log.topics.create([events])
      await run.connectors.create(sink)
    })
    const wanted: string[] = []
    for (let round = 0; round < 4; round++) {
      await machine.run(async () => {
        const more = Array.from({ length: 5 }, (_, i) => `${round}-${i}`)
        if (await write(run.log, 'events', ...more)) wanted.push(...more)
        await machine.clock.sleep(machine.random.fraction() * 12)
      })
      machine.kill()
      run = await machine.run(() => start(machine, outside))
    }
    await machine.run(async () => {
      await machine.clock.sleep(2_000)
      assert.deepEqual([...new Set(outside.taken)], wanted, `seed ${seed}`)
      assert.ok(outside.taken.length <= wanted.length + 20)
      await run.close()
    })
  }
})

test('start latest leaves out what is there, also when nothing came before the next start', async () => {
  const machine = simulate(4)
  const outside = new Outside()
  const first = await machine.run(() => start(machine, outside))
  await machine.run(async () => {
    await first.log.topics.create([events])
    await write(first.log, 'events', 'old')
    await first.connectors.create({ ...sink, settings: { topics: 'events', start: 'latest' } })
    await machine.clock.sleep(500)
  })
  machine.kill()
  const second = await machine.run(() => start(machine, outside))
  await machine.run(async () => {
    await write(second.log, 'events', 'new')
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['new'])
    await second.close()
  })
})

test('a fault that may pass is said, waited out and got over; the neighbour does not notice', async () => {
  const machine = simulate(5)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events, { name: 'other', partitions: 1 }])
    await run.connectors.create(source)
    await machine.clock.sleep(1_500)
    outside.fault = gone
    outside.faults = 3
    outside.send('a')
    await machine.clock.sleep(400)
    const failed = (await run.connectors.get('in'))!
    assert.equal(failed.status, 'failed')
    assert.equal(failed.fault?.code, 'cluster.unavailable')
    assert.ok(Date.parse(failed.restartsAt!) > Date.parse(failed.faultAt!))
    outside.faults = 0
    await run.connectors.create({ ...source, name: 'beside', settings: { into: 'other' } })
    outside.faults = 2
    await machine.clock.sleep(300)
    assert.deepEqual(await values(run, 'other'), ['a'])
    await machine.clock.sleep(10_000)
    const again = (await run.connectors.get('in'))!
    assert.deepEqual([again.status, again.restartsAt, again.fault?.code], ['running', null, 'cluster.unavailable'])
    assert.ok(again.restarts > 0)
    assert.deepEqual(await values(run), ['a'])
    await run.close()
  })
})

test('a fault that does not pass stays until it is resumed; restart.strategy none never starts again', async () => {
  const machine = simulate(6)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events])
    outside.fault = shut
    outside.faults = 1
    outside.send('a')
    await run.connectors.create(source)
    await machine.clock.sleep(3_600_000)
    const failed = (await run.connectors.get('in'))!
    assert.deepEqual([failed.status, failed.restartsAt, outside.opened], ['failed', null, 1])
    await run.connectors.alter('in', { paused: false })
    await machine.clock.sleep(500)
    assert.equal((await run.connectors.get('in'))!.status, 'running')
    assert.deepEqual(await values(run), ['a'])
    await run.connectors.alter('in', { settings: { 'restart.strategy': 'none' } })
    outside.fault = gone
    outside.faults = 1
    outside.send('b')
    await machine.clock.sleep(3_600_000)
    assert.equal((await run.connectors.get('in'))!.status, 'failed')
    await run.close()
  })
})

test('one whose other side neither takes nor says anything can be paused, and holds up no other', async () => {
  const machine = simulate(31)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events, { name: 'more', partitions: 1 }])
    await run.connectors.create(sink)
    await machine.clock.sleep(500)
    outside.hangs = true
    await write(run.log, 'events', 'a')
    await machine.clock.sleep(500)
    const before = machine.clock.monotonic()
    const pausing = run.connectors.alter('out', { paused: true })
    const making = run.connectors.create({ ...source, settings: { into: 'more' } })
    assert.equal((await pausing).status, 'paused')
    await making
    assert.ok(machine.clock.monotonic() - before < 10_000)
    outside.send('x')
    await machine.clock.sleep(500)
    assert.deepEqual(await values(run, 'more'), ['x'])
    // What was under way when it was left behind counts for nothing: it is carried out again.
    outside.letGo()
    await machine.clock.sleep(500)
    await run.connectors.alter('out', { paused: false })
    await write(run.log, 'events', 'b')
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['a', 'a', 'b'])
    assert.equal((await run.connectors.get('out'))!.lag, 0)
    await run.close()
  })
})

test('paused it stands still and keeps its place, over a restart too; resumed it goes on', async () => {
  const machine = simulate(7)
  const outside = new Outside()
  const first = await machine.run(() => start(machine, outside))
  await machine.run(async () => {
    await first.log.topics.create([events])
    await first.connectors.create(source)
    outside.send('a')
    await machine.clock.sleep(500)
    assert.equal((await first.connectors.alter('in', { paused: true })).status, 'paused')
    outside.send('b')
    await machine.clock.sleep(500)
    assert.deepEqual(await values(first), ['a'])
  })
  machine.kill()
  const second = await machine.run(() => start(machine, outside))
  await machine.run(async () => {
    await machine.clock.sleep(500)
    assert.equal((await second.connectors.get('in'))!.status, 'paused')
    assert.deepEqual(await values(second), ['a'])
    await second.connectors.alter('in', { paused: false })
    await machine.clock.sleep(500)
    assert.deepEqual(await values(second), ['a', 'b'])
    await second.close()
  })
})

test('what the contract refuses, or what is too large, lies in the dead letter topic with the reason', async () => {
  const machine = simulate(8)
  await machine.run(async () => {
    const outside = new Outside()
    const refuses = (topic: string, { value }: { value: Uint8Array | null }): Fault | null =>
      topic === 'events' && text(value) === 'bad' ? new Fault('json.malformed', { what: 'bad', position: null }) : null
    const run = await start(machine, outside, refuses)
    await run.log.topics.create([{ ...events, config: { 'max.message.bytes': '1000' } }])
    const large = 'x'.repeat(2_000)
    outside.send('a', 'bad', large, 'b')
    await run.connectors.create(source)
    await machine.clock.sleep(500)
    assert.deepEqual(await values(run), ['a', 'b'])
    const buried = await readAll(run.log, 'in.dlq')
    assert.deepEqual(
      buried.map(({ value, headers }) => [text(value), text(headers.find(([name]) => name === 'mr-reason')?.[1])]),
      [
        ['bad', 'json.malformed'],
        [large, 'log.batch-too-large'],
      ],
    )
    assert.equal((await run.connectors.get('in'))!.refused, 2)
    await run.close()
  })
})

test('what the other side will never take lies there too, and what follows goes on', async () => {
  const machine = simulate(13)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events])
    await write(run.log, 'events', 'a', 'bad', 'b')
    await run.connectors.create(sink)
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['a', 'b'])
    const [buried, ...more] = await readAll(run.log, 'out.dlq')
    assert.deepEqual([text(buried?.value), more.length], ['bad', 0])
    assert.equal(text(buried?.headers.find(([name]) => name === 'mr-topic')?.[1]), 'events')
    const info = (await run.connectors.get('out'))!
    assert.deepEqual([info.records, info.refused, info.lag], [2, 1, 0])
    await run.close()
  })
})

test('deleted and made anew it begins from the start, and nothing of the old one is kept', async () => {
  const machine = simulate(9)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events])
    outside.send('a')
    await run.connectors.create(source)
    await machine.clock.sleep(500)
    await run.connectors.remove('in')
    assert.deepEqual(await run.connectors.list(), [])
    const kept = await readAll(run.log, positionsTopic)
    assert.equal(kept.at(-1)!.value, null)
    await run.connectors.create(source)
    await machine.clock.sleep(500)
    assert.deepEqual(await values(run), ['a', 'a'])
    await assert.rejects(run.connectors.remove('nothing'), isFault('connect.unknown-connector'))
    await run.close()
  })
})

test('a topic here that is deleted under a source is made anew; under a sink it is waited for', async () => {
  const machine = simulate(32)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events, { name: 'totals', partitions: 1 }])
    await run.connectors.create(source)
    await run.connectors.create({ ...sink, settings: { topics: 'totals' } })
    outside.send('a')
    await write(run.log, 'totals', 't')
    await machine.clock.sleep(500)
    await run.log.topics.remove(['events', 'totals'])
    await machine.clock.sleep(500)
    outside.send('b')
    await machine.clock.sleep(2_000)
    assert.deepEqual(await values(run), ['b'])
    assert.equal((await run.connectors.get('in'))!.status, 'running')
    await run.log.topics.create([{ name: 'totals', partitions: 1 }])
    await write(run.log, 'totals', 'u')
    await machine.clock.sleep(5_000)
    assert.deepEqual(outside.taken, ['t', 'u'])
    assert.equal((await run.connectors.get('out'))!.status, 'running')
    await run.close()
  })
})

test('a topic that a sink names may come later, and grow', async () => {
  const machine = simulate(15)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.connectors.create({ ...sink, settings: { topics: 'events,later' } })
    await machine.clock.sleep(500)
    await run.log.topics.create([events])
    await write(run.log, 'events', 'a')
    await machine.clock.sleep(500)
    await run.log.topics.create([{ name: 'later', partitions: 1 }])
    await write(run.log, 'later', 'b')
    await machine.clock.sleep(500)
    await run.log.topics.alter('later', { partitions: 2 })
    await write(run.log, 'later', 'c')
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['a', 'b', 'c'])
    const info = (await run.connectors.get('out'))!
    assert.deepEqual([info.status, info.fault, info.lag], ['running', null, 0])
    await run.close()
  })
})

test('a sink by pattern takes topics as they come, and leaves those that are somebody’s own', async () => {
  const machine = simulate(10)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.connectors.create({ ...sink, settings: { 'topics.pattern': '(e|_).*' } })
    await run.log.topics.create([events, { name: 'other', partitions: 1 }])
    await machine.clock.sleep(500)
    await write(run.log, 'events', 'a')
    await write(run.log, 'other', 'no')
    await machine.clock.sleep(500)
    await run.log.topics.create([{ name: 'e2', partitions: 1 }])
    await write(run.log, 'e2', 'b')
    await machine.clock.sleep(500)
    assert.deepEqual(outside.taken, ['a', 'b'])
    await run.close()
  })
})

test('of two processes on one log one runs it, and the other takes over where it was', async () => {
  const machine = simulate(14)
  await machine.run(async () => {
    const outside = new Outside()
    const run = await start(machine, outside)
    await run.log.topics.create([events])
    await run.connectors.create(source)
    const other = await run.beside()
    await machine.clock.sleep(500)
    const opened = outside.opened
    outside.send('a', 'b', 'c', 'd')
    await machine.clock.sleep(1_000)
    assert.deepEqual(await values(run), ['a', 'b', 'c', 'd'])
    assert.equal(outside.opened, opened)
    const counts = await Promise.all([run, other].map(async ({ connectors }) => (await connectors.get('in'))!.records))
    assert.deepEqual(counts.toSorted(), [0, 4])
    // Whichever runs it ends.
    const [first, second] = counts[0] === 4 ? [run, other] : [other, run]
    await first.connectors.close()
    outside.send('e')
    await machine.clock.sleep(1_000)
    assert.deepEqual(await values(run), ['a', 'b', 'c', 'd', 'e'])
    assert.equal((await second.connectors.get('in'))!.records, 1)
    await other.close()
    await run.close()
  })
})

test('settings are checked before anything is kept, and a secret comes out nowhere', async () => {
  const machine = simulate(12)
  await machine.run(async () => {
    const run = await start(machine, new Outside())
    const { connectors } = run
    const create = (settings: Record<string, string>, more: object = {}) =>
      connectors.create({ ...source, settings, ...more })
    await assert.rejects(create({}), isFault('connect.invalid-setting', /into.*missing/))
    await assert.rejects(create({ inot: 'a' }), isFault('connect.invalid-setting', /is into meant/))
    await assert.rejects(create({ into: 'a', size: 'b' }), isFault('connect.invalid-setting', /whole number/))
    await assert.rejects(
      create({ into: 'a', 'into.file': '/f' }),
      isFault('connect.invalid-setting', /no such setting/),
    )
    await assert.rejects(
      create({ into: 'a', password: 'x', 'password.file': '/secret' }),
      isFault('connect.invalid-setting', /twice/),
    )
    await assert.rejects(
      create({ into: 'a', 'password.file': '/etc/passwd' }),
      isFault('connect.invalid-setting', /password\.file.*not for everybody/),
    )
    await assert.rejects(
      create({ into: 'a', 'restart.attempts': '3', 'restart.strategy': 'none' }),
      isFault('connect.invalid-setting', /no meaning/),
    )
    await assert.rejects(
      create({ into: 'a' }, { kind: 'oracle' }),
      isFault('connect.unknown-kind', /there are outside/),
    )
    await assert.rejects(create({ into: 'a' }, { name: 'a b' }), isFault('connect.invalid-setting', /cannot name/))
    await assert.rejects(
      connectors.create({ ...sink, settings: { topics: 'a', 'topics.pattern': 'b' } }),
      isFault('connect.invalid-setting', /either/),
    )
    assert.deepEqual(await connectors.list(), [])
    const made = await create({ into: 'a', password: 'hunter2-secret' })
    assert.deepEqual(made.settings, { into: 'a', password: '…' })
    assert.ok(!JSON.stringify(await connectors.list()).includes('hunter2'))
    await assert.rejects(create({ into: 'a' }), isFault('connect.exists'))
    const changed = await connectors.alter('in', { settings: { password: null, 'password.file': '/secret' } })
    assert.deepEqual(changed.settings, { into: 'a', 'password.file': '/secret' })
    await run.close()
  })
})
