/** Room for share sessions is shared out: nobody is kept out of it by a client that takes most of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ShareSession, ShareSessions, queueKey } from '../../../src/gateway/kafka/share-sessions.ts'
import type { QueueRef } from '../../../src/log/queues/queues.ts'

const partitions = (count: number, from = 0): Map<string, QueueRef> =>
  new Map(Array.from({ length: count }, (_, i) => ({ topicId: 't', index: from + i })).map((of) => [queueKey(of), of]))
function setUp() {
  const sessions = new ShareSessions({ sessionsMax: 10, partitionsMax: 100 })
  const gone: string[] = []
  const { signal } = new AbortController()
  let members = 0
  const open = (owner: string, count: number, more: Partial<ShareSession> = {}): ShareSession | null =>
    sessions.open(
      { group: 'g', member: `${owner} ${members++}`, signal, owner, gone: ({ member }) => gone.push(member), ...more },
      partitions(count),
    )
  return { sessions, gone, open }
}

test('a session of all partitions makes room for others, and its member gives back what it holds', () => {
  const { sessions, gone, open } = setUp()
  assert.notEqual(open('greedy', 100), null)
  const mine = open('other', 10)!
  assert.deepEqual(gone, ['greedy 0'])
  assert.equal(sessions.get('g', 'greedy 0'), null)
  assert.equal(open('greedy', 100), null, 'not at the cost of who takes less')
  assert.notEqual(open('greedy', 90), null)
  assert.equal(sessions.add(mine, [...partitions(10, 50).values()]), true)
  assert.deepEqual(gone, ['greedy 0', 'greedy 3'])
  assert.equal(sessions.get('g', mine.member), mine)
  sessions.forget(mine, { topicId: 't', index: 50 })
  assert.notEqual(open('greedy', 81), null)
  assert.equal(open('greedy', 1), null, 'nor of its own')
})

test('very many sessions of one owner make room for those of others', () => {
  const { sessions, gone, open } = setUp()
  for (let i = 0; i < 10; i++) assert.notEqual(open('greedy', 1), null)
  assert.equal(open('greedy', 1), null)
  for (let i = 0; i < 5; i++) assert.notEqual(open('other', 1), null, `${i}`)
  assert.equal(open('other', 1), null, 'half of it: nobody has more')
  assert.equal(open('greedy', 1), null)
  assert.notEqual(open('third', 1), null)
  assert.equal(gone.length, 6)
  assert.equal(sessions.size, 10)
})

test('a session that had to go is over: its end and its connection change nothing', () => {
  const { sessions, gone, open } = setUp()
  const connection = new AbortController()
  const former = open('greedy', 60, { signal: connection.signal })!
  const second = open('greedy', 30, { signal: connection.signal })!
  assert.notEqual(open('other', 20), null)
  assert.deepEqual(gone, [former.member])
  sessions.forget(former, { topicId: 't', index: 0 })
  sessions.close(former)
  connection.abort()
  assert.deepEqual(gone, [former.member, second.member])
  assert.equal(sessions.size, 1)
  assert.notEqual(open('third', 80), null, 'all of it is free again')
  assert.equal(open('third', 1), null)
})
