import assert from 'node:assert/strict'
import { decodeBatch } from '../../src/log/batch.ts'
import { openCatalog } from '../../src/log/catalog.ts'
import type { Offset } from '../../src/lib/brand.ts'
import type { At } from '../../src/log/log.ts'
import { openReaderPort } from '../../src/log/local/reader-port.ts'
import {
  type Cases,
  Follower,
  type Subject,
  append,
  at,
  batchOf,
  commit,
  fresh,
  newTopic,
  placesOf,
  refused,
  settle,
  text,
  until,
  zero,
} from './support.ts'

const join = (subject: Subject, group: string, topics: string[], name?: string): Follower =>
  new Follower(subject.log.join(group, { topics, warm: () => [], ...(name === undefined ? {} : { name }) }))
const holds = (follower: Follower, ...places: string[]) => {
  return (): boolean => follower.held !== null && placesOf(follower.held.active).join() === places.sort().join()
}

export const groupCases: Cases = {
  'a lone member holds every partition, those added later too': async (subject) => {
    const { log } = subject
    const first = await newTopic(subject, { partitions: 2 })
    const later = fresh('topic')
    const follower = join(subject, fresh('group'), [first, later])
    await until(subject, 'two partitions', holds(follower, `${first}/0`, `${first}/1`))
    await log.topics.create([{ name: later, partitions: 1 }])
    await until(subject, 'the later topic', holds(follower, `${first}/0`, `${first}/1`, `${later}/0`))
    await log.topics.alter(first, { partitions: 3 })
    const all = [`${first}/0`, `${first}/1`, `${first}/2`, `${later}/0`]
    await until(subject, 'the partition added', holds(follower, ...all))
    await follower.leave()
  },
  'members share partitions evenly, each in one hand, and take over from one that leaves': async (subject) => {
    const name = await newTopic(subject, { partitions: 4 })
    const group = fresh('group')
    const a = join(subject, group, [name])
    await until(subject, 'all four', () => a.held?.active.length === 4)
    const b = join(subject, group, [name])
    await until(subject, 'two each', () => a.held?.active.length === 2 && b.held?.active.length === 2)
    const both = placesOf([...a.held!.active, ...b.held!.active])
    assert.deepEqual(both, [`${name}/0`, `${name}/1`, `${name}/2`, `${name}/3`])
    await a.leave()
    await until(subject, 'all four again', () => b.held?.active.length === 4)
    await b.leave()
  },
  'what is asked for whole is in one hand, and in another when that one leaves': async (subject) => {
    const topics = [await newTopic(subject, { partitions: 3 }), await newTopic(subject)]
    const group = fresh('group')
    const whole = (): Follower => new Follower(subject.log.join(group, { topics, warm: () => [], whole: true }))
    const members = [whole(), whole(), whole()]
    const counts = (): string => members.map(({ held }) => held?.active.length ?? 0).join()
    const inOneHand = (of: number) => (): boolean =>
      counts()
        .split(',')
        .filter((count) => count !== '0')
        .join() === String(of)
    await until(subject, 'all four in one hand', inOneHand(4))
    const [holder] = members.splice(
      members.findIndex(({ held }) => held?.active.length === 4),
      1,
    )
    await holder!.leave()
    await until(subject, 'all four in another', inOneHand(4))
    for (const member of members) await member.leave()
  },
  'a partition moves only when its holder has accepted': async (subject) => {
    const name = await newTopic(subject, { partitions: 2 })
    const group = fresh('group')
    const a = subject.log.join(group, { topics: [name], warm: () => [] })
    const changes = a.changes()[Symbol.asyncIterator]()
    const first = (await changes.next()).value!
    first.accept()
    const b = join(subject, group, [name])
    const second = (await changes.next()).value!
    await subject.sleep(100)
    assert.equal(b.held?.active.length ?? 0, 0, 'nobody has it while the first has not accepted')
    second.accept()
    await until(subject, 'the partition moved', () => b.held?.active.length === 1)
    assert.equal(second.active.length, 1)
    const owner = await subject.log.owner()
    const moved = b.held!.active[0]!
    const outcome = await commit(owner, async () => [
      { claim: first.claim, positions: [{ partition: moved, offset: 1 as Offset }] },
    ])
    assert.deepEqual(outcome, { lost: [first.claim] })
    await owner.close()
    await b.leave()
    await a.leave()
  },
  'positions are null until committed, and the last committed after that': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject, { partitions: 2 })
    await append(subject, at(name, 1), 'a', 'b', 'c')
    const follower = join(subject, fresh('group'), [name])
    const owner = await log.owner()
    const of = [at(name, 0), at(name, 1)]
    for (const offset of [1, 3] as Offset[])
      for (let outcome: unknown = 'retry'; outcome !== 'committed';) {
        await until(subject, 'an assignment', () => follower.held?.active.length === 2)
        const part = { claim: follower.held!.claim, positions: [{ partition: at(name, 1), offset }] }
        outcome = await owner.begin().commit([part])
      }
    await until(subject, 'an assignment', () => follower.held?.active.length === 2)
    assert.deepEqual(await follower.membership.positions(follower.held!.claim, of), [null, 3])
    await follower.leave()
    await owner.close()
  },
  'groups are listed with their members, reset while empty, and removed': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject)
    const group = fresh('group')
    const to: At[] = [{ partition: at(name), offset: 7 as Offset }]
    const follower = join(subject, group, [name], 'worker')
    await until(subject, 'an assignment', () => follower.held?.active.length === 1)
    const [info] = (await log.groups.list()).filter((one) => one.group === group)
    assert.equal(info?.members[0]?.name, 'worker')
    assert.deepEqual(placesOf(info!.members[0]!.held), [`${name}/0`])
    await refused('log.group-not-empty', log.groups.reset(group, to))
    await refused('log.group-not-empty', log.groups.remove(group))
    await follower.leave()
    await log.groups.reset(group, to)
    assert.deepEqual(await log.groups.positions(group), to)
    await log.groups.remove(group)
    assert.deepEqual(await log.groups.positions(group), [])
    await refused('log.unknown-group', log.groups.remove(group))
  },
  'restore gives the newest value of each key, of committed ticks only': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject, { config: { 'cleanup.policy': 'compact' } })
    const follower = join(subject, fresh('group'), [name])
    const owner = await log.owner()
    const put = (key: string, value: string | null) => ({
      partition: at(name),
      batch: batchOf(subject, {
        key: Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        timeMs: subject.now(),
      }),
    })
    for (const entries of [[put('a', '1'), put('b', '1')], [put('a', '2')], [put('b', null), put('c', '3')]])
      await commit(owner, async (tick) => {
        await tick.append(entries)
        return []
      })
    const aborted = owner.begin()
    await aborted.append([put('a', 'never')])
    await aborted.abort()
    await until(subject, 'an assignment', () => follower.held?.active.length === 1)
    const state = new Map<string, string | null>()
    for await (const chunk of log.reader().restore(at(name), follower.held!.claim)) {
      assert.ok('batches' in chunk)
      for (const batch of chunk.batches)
        for (const { key, value } of decodeBatch(batch)) state.set(text(key)!, text(value))
    }
    for (const [key, value] of state) if (value === null) state.delete(key)
    assert.deepEqual(Object.fromEntries(state), { a: '2', c: '3' })
    await follower.leave()
    await owner.close()
  },
  'a reader behind a port reads the same': async (subject) => {
    const partition = at(await newTopic(subject))
    await append(subject, partition, 'through')
    await settle(subject)
    const reader = openReaderPort(subject.log.readerPort())
    const got: (string | null)[] = []
    for (let offset = zero; got.length === 0;) {
      const [chunk] = await reader.read([{ partition, offset }], { ms: 500 })
      assert.ok(chunk !== undefined && 'batches' in chunk)
      for (const batch of chunk.batches) got.push(...decodeBatch(batch).map(({ value }) => text(value)))
      offset = chunk.next
    }
    assert.deepEqual(got, ['through'])
    const [fault] = await reader.read([{ partition: at(fresh('nothing')), offset: zero }])
    assert.ok(fault !== undefined && 'fault' in fault && fault.fault.code === 'log.unknown-topic')
    const stop = new AbortController()
    const waiting = reader.read([{ partition, offset: 1_000 as Offset }], { ms: 60_000 }, stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(waiting)
    reader.close()
  },
  'two catalogues over one log see the same changes': async (subject) => {
    const { log } = subject
    const [a, b] = await Promise.all([openCatalog(log, subject.now), openCatalog(log, subject.now)])
    const view = fresh('view')
    const heard: string[] = []
    b.onChange((changed) => heard.push(...changed.map(({ kind, name }) => `${kind}/${name}`)))
    await a.change([
      { kind: 'view', name: view, value: { sql: 'SELECT 1' } },
      { kind: 'stream', name: view, value: ['x'] },
    ])
    assert.deepEqual(a.get('view', view)?.value, { sql: 'SELECT 1' })
    await until(subject, 'the other to see it', () => b.get('stream', view) !== null)
    assert.deepEqual(
      heard.filter((name) => name.endsWith(`/${view}`)),
      [`view/${view}`, `stream/${view}`],
    )
    await b.change([{ kind: 'view', name: view, value: null }])
    assert.equal(b.get('view', view), null)
    await until(subject, 'the removal', () => a.get('view', view) === null)
    const later = await openCatalog(log, subject.now)
    assert.equal(later.get('view', view), null)
    assert.deepEqual(later.get('stream', view)?.value, ['x'])
    for (const catalog of [a, b, later]) await catalog.close()
    await refused('log.closed', a.change([{ kind: 'view', name: view, value: 1 }]))
  },
}
