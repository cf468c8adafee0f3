import assert from 'node:assert/strict'
import type { At } from '../../src/log/log.ts'
import {
  type Cases,
  Follower,
  type Held,
  type Subject,
  append,
  at,
  batchOf,
  commit,
  fresh,
  newTopic,
  settle,
  take,
  takeAll,
  tickOf,
  until,
  values,
} from './support.ts'

async function member(subject: Subject, group: string, topic: string): Promise<Follower> {
  const follower = new Follower(subject.log.join(group, { topics: [topic], warm: () => [] }))
  await until(subject, 'an assignment', () => (follower.held?.active.length ?? 0) > 0)
  return follower
}
/** Commits a part of this group; joins again, as it were, when the claim was lost. */
async function commitPart(
  subject: Subject,
  follower: Follower,
  work: (held: Held) => Promise<'committed' | 'retry' | { lost: unknown[] }>,
): Promise<void> {
  for (;;) {
    await until(subject, 'an assignment', () => (follower.held?.active.length ?? 0) > 0)
    if ((await work(follower.held!)) === 'committed') return
  }
}

export const tickCases: Cases = {
  'a committed tick is seen in every partition, an aborted one in none': async (subject) => {
    const name = await newTopic(subject, { partitions: 3 })
    const owner = await subject.log.owner()
    await tickOf(subject, owner, [
      [at(name, 0), 'a', 'b'],
      [at(name, 1), 'c'],
    ])
    const tick = owner.begin()
    await tick.append([0, 1, 2].map((index) => ({ partition: at(name, index), batch: batchOf(subject, 'not this') })))
    await tick.abort()
    await tickOf(subject, owner, [[at(name, 0), 'd']])
    assert.deepEqual(values(await take(subject, at(name, 0), 3)), ['a', 'b', 'd'])
    assert.deepEqual(values(await takeAll(subject, at(name, 1))), ['c'])
    assert.deepEqual(values(await takeAll(subject, at(name, 2))), [])
    await owner.close()
  },
  'nobody who reads what is committed sees an open tick': async (subject) => {
    const partition = at(await newTopic(subject))
    const owner = await subject.log.owner()
    await append(subject, partition, 'before')
    const tick = owner.begin()
    await tick.append([{ partition, batch: batchOf(subject, 'inside') }])
    await append(subject, partition, 'after')
    await settle(subject)
    assert.deepEqual(values(await takeAll(subject, partition)), ['before'])
    // Such a reader may also find what was aborted; here that has no value.
    const all = await take(subject, partition, 5, { uncommitted: true })
    assert.deepEqual(
      values(all).filter((value) => value !== null),
      ['before', 'inside', 'after'],
    )
    const outcome = await tick.commit([])
    const expected = outcome === 'committed' ? ['before', 'inside', 'after'] : ['before', 'after']
    assert.deepEqual(values(await take(subject, partition, expected.length)), expected)
    await owner.close()
  },
  'a tick says where its batches will lie': async (subject) => {
    const partition = at(await newTopic(subject))
    const owner = await subject.log.owner()
    let said: number[] = []
    await commit(owner, async (tick) => {
      const places = [
        ...(await tick.append([
          { partition, batch: batchOf(subject, 'a', 'b') },
          { partition, batch: batchOf(subject, 'c') },
        ])),
        ...(await tick.append([{ partition, batch: batchOf(subject, 'd') }])),
      ]
      said = places.map(({ offset }) => offset)
      return []
    })
    const got = await take(subject, partition, 4)
    assert.deepEqual(values(got), ['a', 'b', 'c', 'd'])
    assert.deepEqual(said, [got[0]!.offset, got[2]!.offset, got[3]!.offset])
    await owner.close()
  },
  'an empty tick commits and leaves nothing': async (subject) => {
    const partition = at(await newTopic(subject))
    await append(subject, partition, 'x')
    const owner = await subject.log.owner()
    const [before] = await subject.log.bounds([partition])
    assert.equal(await commit(owner, async () => []), 'committed')
    const [after] = await subject.log.bounds([partition])
    assert.deepEqual(after, before)
    await owner.close()
  },
  'a tick that was refused a batch can only be rolled back': async (subject) => {
    const partition = at(await newTopic(subject))
    const owner = await subject.log.owner()
    const tick = owner.begin()
    await tick.append([{ partition, batch: batchOf(subject, 'good') }])
    await assert.rejects(tick.append([{ partition: at(fresh('nothing')), batch: batchOf(subject, 'nowhere') }]))
    assert.equal(await tick.commit([]), 'retry')
    assert.deepEqual(values(await takeAll(subject, partition)), [])
    await tickOf(subject, owner, [[partition, 'next']])
    assert.deepEqual(values(await take(subject, partition, 1)), ['next'])
    await owner.close()
  },
  'outputs and input positions move together': async (subject) => {
    const { log } = subject
    const input = await newTopic(subject)
    const output = at(await newTopic(subject))
    const group = fresh('group')
    const end = (await append(subject, at(input), 'one', 'two')) + 2
    const follower = await member(subject, group, input)
    const owner = await log.owner()
    const position = { partition: at(input), offset: end as At['offset'] }
    const { claim } = follower.held!
    assert.deepEqual(await log.groups.positions(group), [])
    const dropped = owner.begin()
    await dropped.append([{ partition: output, batch: batchOf(subject, 'dropped') }])
    await dropped.abort()
    assert.deepEqual(await log.groups.positions(group), [])
    await commitPart(subject, follower, async (held) => {
      const tick = owner.begin()
      await tick.append([{ partition: output, batch: batchOf(subject, 'done') }])
      return tick.commit([{ claim: held.claim, positions: [position] }])
    })
    assert.deepEqual(await log.groups.positions(group), [position])
    assert.deepEqual(values(await take(subject, output, 1)), ['done'])
    assert.ok(claim !== undefined)
    await follower.leave()
    await owner.close()
  },
  'a tick with a lost claim leaves nothing behind, and names the claim': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject)
    const output = at(await newTopic(subject))
    const group = fresh('group')
    const follower = await member(subject, group, name)
    const { claim } = follower.held!
    const owner = await log.owner()
    const [info] = (await log.groups.list()).filter((one) => one.group === group)
    assert.equal(info?.members.length, 1)
    await log.groups.evict(group, info!.members[0]!.id)
    const outcome = await commit(owner, async (tick) => {
      await tick.append([{ partition: output, batch: batchOf(subject, 'from a dead claim') }])
      return [{ claim, positions: [{ partition: at(name), offset: 1 as At['offset'] }] }]
    })
    assert.deepEqual(outcome, { lost: [claim] })
    assert.deepEqual(values(await takeAll(subject, output)), [])
    assert.deepEqual(await log.groups.positions(group), [])
    await owner.close()
    await follower.leave()
  },
  'positions of several tasks are committed by one tick': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject)
    await append(subject, at(name), 'x')
    const groups = [fresh('group'), fresh('group')]
    const followers = await Promise.all(groups.map((group) => member(subject, group, name)))
    const owner = await log.owner()
    const positions = [{ partition: at(name), offset: 1 as At['offset'] }]
    for (let outcome: unknown = 'retry'; outcome !== 'committed';) {
      for (const follower of followers)
        await until(subject, 'an assignment', () => (follower.held?.active.length ?? 0) > 0)
      outcome = await owner.begin().commit(followers.map((follower) => ({ claim: follower.held!.claim, positions })))
    }
    for (const group of groups) assert.deepEqual(await log.groups.positions(group), positions)
    for (const follower of followers) await follower.leave()
    await owner.close()
  },
  'many ticks, one after another, are all there in order': async (subject) => {
    const name = await newTopic(subject, { partitions: 2 })
    const owner = await subject.log.owner()
    const sent = Array.from({ length: 30 }, (_, i) => String(i))
    for (const value of sent)
      await tickOf(subject, owner, [
        [at(name, 0), value],
        [at(name, 1), value],
      ])
    assert.deepEqual(values(await take(subject, at(name, 0), sent.length)), sent)
    assert.deepEqual(values(await take(subject, at(name, 1), sent.length)), sent)
    await owner.close()
  },
}
