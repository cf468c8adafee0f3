import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Room } from '../../src/lib/room.ts'

const forever = new AbortController().signal
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('who needs bytes waits until there are so many, in its turn', async () => {
  const room = new Room(100)
  const first = await room.take(60, forever)
  const got: string[] = []
  const second = room.take(50, forever).then((share) => (got.push('second'), share))
  const third = room.take(10, forever).then((share) => (got.push('third'), share))
  await tick()
  assert.deepEqual(got, [], 'the third waits behind the second, though it would fit')
  first.shrink(50)
  await tick()
  assert.deepEqual([got, room.used], [['second'], 100])
  first.give()
  first.give()
  await tick()
  assert.deepEqual([got, room.used], [['second', 'third'], 60])
  for (const share of [await second, await third]) share.give()
  assert.equal(room.used, 0)
})
test('more than there is goes to who is alone; who gives up waits no more', async () => {
  const room = new Room(100)
  const all = await room.take(500, forever)
  const gone = new AbortController()
  const waiting = room.take(90, gone.signal)
  const behind = room.take(20, forever)
  gone.abort(new Error('gone'))
  await assert.rejects(waiting, /gone/)
  await assert.rejects(room.take(1, gone.signal), /gone/)
  all.give()
  ;(await behind).give()
  assert.equal(room.used, 0)
})
test('clients take turns, however much one of them asks for', async () => {
  const room = new Room(10)
  const first = await room.take(10, forever)
  const got: string[] = []
  const ask = (name: string, client: object): void =>
    void room.take(10, forever, client).then((share) => {
      got.push(name)
      void tick().then(() => share.give())
    })
  const [greedy, modest, late] = [{}, {}, {}]
  for (let i = 0; i < 5; i++) ask(`greedy ${i}`, greedy)
  for (let i = 0; i < 2; i++) ask(`modest ${i}`, modest)
  ask('late', late)
  first.give()
  while (got.length < 8) await tick()
  assert.deepEqual(got, [
    ...['greedy 0', 'modest 0', 'late'],
    ...['greedy 1', 'modest 1', 'greedy 2', 'greedy 3', 'greedy 4'],
  ])
  await tick()
  assert.equal(room.used, 0)
})
