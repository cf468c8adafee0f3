/** The checker of Pub/Sub's snapshots and seeks: a right run passes, and each planted fault is named. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Kind, type Message, Worlds } from './pubsub-worlds.ts'

const kind: Kind = { name: 'sub', ordered: false, exact: true, retains: true }
const ids = ['k/0', 'k/1', 'k/2', 'k/3']
const message = (id: string, isSure = true): Message => {
  const [key = '', number = ''] = id.split('/')
  const fromMs = 1_000 + 100 * Number(number)
  return { id, key, number: Number(number), fromMs, toMs: fromMs + 10, isSure }
}
/** Four messages, of which two were acknowledged, one of them before the snapshot `s`. */
function begun(more: Partial<Kind> = {}): Worlds {
  const worlds = new Worlds({ ...kind, ...more })
  for (const id of ids) worlds.published(message(id))
  come(worlds, 'k/0', 'k/1')
  worlds.acknowledged(['k/0'], 'sure')
  worlds.snapshot('s')
  worlds.acknowledged(['k/1'], 'sure')
  return worlds
}
function come(worlds: Worlds, ...some: string[]): void {
  for (const id of some) worlds.delivered(id)
}
/** All that comes, acknowledged, and then nothing. */
function drain(worlds: Worlds, ...some: string[]): string[] {
  come(worlds, ...some)
  worlds.acknowledged(some, 'sure')
  worlds.drained()
  return worlds.problems
}

describe('a right run passes', () => {
  test('what is not acknowledged comes, what is does not', () => {
    assert.deepEqual(drain(begun(), 'k/2', 'k/3'), [])
  })
  test('after a seek to a snapshot, and what was published since', () => {
    const worlds = begun()
    worlds.published(message('k/4'))
    worlds.sought({ snapshot: 's' }, 'sure')
    assert.deepEqual(drain(worlds, 'k/1', 'k/2', 'k/3', 'k/4'), [])
  })
  test('a seek that was not answered, whole or not at all', () => {
    for (const some of [
      ['k/1', 'k/2', 'k/3'],
      ['k/2', 'k/3'],
    ]) {
      const worlds = begun()
      worlds.sought({ snapshot: 's' }, 'maybe')
      assert.deepEqual(drain(worlds, ...some), [])
      assert.equal(worlds.count, 1)
    }
  })
  test('a seek that was not answered and makes no difference', () => {
    const worlds = begun()
    come(worlds, 'k/2', 'k/3')
    worlds.acknowledged(['k/2', 'k/3'], 'sure')
    worlds.sought({ timeMs: 5_000 }, 'maybe')
    assert.deepEqual(drain(worlds), [])
    assert.equal(worlds.count, 1)
  })
  test('after a seek to a time, back and ahead', () => {
    const back = begun()
    back.sought({ timeMs: 1_050 }, 'sure')
    assert.deepEqual(drain(back, 'k/1', 'k/2', 'k/3'), [])
    const ahead = begun()
    ahead.sought({ timeMs: 5_000 }, 'sure')
    assert.deepEqual(drain(ahead), [])
    const without = begun({ retains: false })
    without.sought({ timeMs: 1_050 }, 'sure')
    assert.deepEqual(drain(without, 'k/2', 'k/3'), [])
  })
  test('what was not answered may be there or not', () => {
    for (const some of [
      ['k/2', 'k/3', 'k/4'],
      ['k/2', 'k/3'],
      ['k/3', 'k/4'],
    ]) {
      const worlds = begun()
      worlds.published(message('k/4', false))
      worlds.acknowledged(['k/2'], 'maybe')
      assert.deepEqual(drain(worlds, ...some), [])
    }
  })
  test('of a key what is behind something that comes again comes again too', () => {
    const worlds = begun({ ordered: true, exact: false })
    come(worlds, 'k/2', 'k/3')
    worlds.acknowledged(['k/3'], 'sure')
    worlds.givenBack(['k/2'])
    assert.deepEqual(drain(worlds, 'k/2', 'k/3'), [])
  })
})

describe('a planted fault is caught', () => {
  const planted: readonly (readonly [says: string, expected: RegExp, run: () => string[]])[] = [
    ['a message is lost', /never came \(k\/3\)/, () => drain(begun(), 'k/2')],
    [
      'one comes after its acknowledgement',
      /k\/1 came, which was done with/,
      () => drain(begun(), 'k/1', 'k/2', 'k/3'),
    ],
    ['one comes that nobody published', /nobody published/, () => drain(begun(), 'x/9', 'k/2', 'k/3')],
    [
      'a seek to a snapshot is forgotten',
      /never came \(k\/1\)/,
      () => {
        const worlds = begun()
        worlds.sought({ snapshot: 's' }, 'sure')
        return drain(worlds, 'k/2', 'k/3')
      },
    ],
    [
      'a seek to a snapshot gives what was acknowledged before it',
      /k\/0 came/,
      () => {
        const worlds = begun()
        worlds.sought({ snapshot: 's' }, 'sure')
        return drain(worlds, 'k/0', 'k/1', 'k/2', 'k/3')
      },
    ],
    [
      'a seek to a snapshot loses what was published after it',
      /never came \(k\/4\)/,
      () => {
        const worlds = begun()
        worlds.published(message('k/4'))
        worlds.sought({ snapshot: 's' }, 'sure')
        return drain(worlds, 'k/1', 'k/2', 'k/3')
      },
    ],
    [
      'a seek that was not answered is done by halves',
      /without the seek: k\/0 came.*with the seek: 1 never came \(k\/1\)/,
      () => {
        const worlds = begun()
        worlds.sought({ timeMs: 900 }, 'maybe')
        return drain(worlds, 'k/0', 'k/2', 'k/3')
      },
    ],
    [
      'a seek ahead by halves',
      /without the seek: 1 never came \(k\/3\).*with the seek: k\/2 came/,
      () => {
        const worlds = begun()
        worlds.sought({ timeMs: 5_000 }, 'maybe')
        return drain(worlds, 'k/2')
      },
    ],
    [
      'a new subscription sees its former life',
      /k\/2 came, of its former life/,
      () => {
        const worlds = begun()
        worlds.begunAnew()
        return drain(worlds, 'k/2')
      },
    ],
    ['two of a key are exchanged', /k\/3 came before k\/2/, () => drain(begun({ ordered: true }), 'k/3', 'k/2')],
    [
      'of a key what follows comes first after a seek',
      /k\/2 came before k\/1/,
      () => {
        const worlds = begun({ ordered: true })
        come(worlds, 'k/2', 'k/3')
        worlds.sought({ snapshot: 's' }, 'sure')
        return drain(worlds, 'k/2', 'k/1', 'k/3')
      },
    ],
  ]
  for (const [says, expected, run] of planted) test(says, () => assert.match(run().join('\n'), expected))
})
