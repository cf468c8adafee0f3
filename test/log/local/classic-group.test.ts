import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { ClassicGroup } from '../../../src/log/local/groups/classic-group.ts'
import { decodeGroup, encodeGroup } from '../../../src/log/local/groups/formats.ts'
import type { JoinAnswer, JoinRequest, SyncAnswer } from '../../../src/log/local/groups/messages.ts'

type Joined = Exclude<JoinAnswer, { fault: Fault }>
interface Asked<T> {
  answer: T | null
}
/** A group with a clock that the test moves; what it stores is durable at once unless told otherwise. */
class Bench {
  nowMs = 0
  readonly group: ClassicGroup
  storeNow = true
  stored = 0
  #ids = 0

  constructor(initialDelayMs = 0) {
    const effects = {
      wallMs: () => 1_000_000 + this.nowMs,
      newMemberId: (prefix: string) => `${prefix}-${this.#ids++}`,
      store: (group: ClassicGroup) => {
        this.stored++
        if (this.storeNow) group.stored(group.generation, null, this.nowMs)
      },
    }
    this.group = new ClassicGroup('g', effects, { initialDelayMs, membersMax: 5 })
  }
  /** Time passes, as a timer would have it. */
  pass(ms: number): void {
    const end = this.nowMs + ms
    for (let next = this.group.nextMs(); next <= end; next = this.group.nextMs()) {
      this.nowMs = Math.max(this.nowMs, next)
      this.group.pass(this.nowMs)
    }
    this.nowMs = end
  }
  join(memberId = '', wishes: Partial<JoinRequest> = {}): Asked<JoinAnswer> {
    const asked: Asked<JoinAnswer> = { answer: null }
    const request: JoinRequest = {
      group: 'g',
      memberId,
      instanceId: null,
      clientId: 'c',
      host: 'h',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('m') }],
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 30_000,
      memberIdRequired: false,
      skipsAssignment: true,
      ...wishes,
    }
    this.group.join(request, this.nowMs, (answer) => {
      assert.equal(asked.answer, null, 'one answer only')
      asked.answer = answer
    })
    return asked
  }
  sync(member: Joined, assignments: Record<string, string> = {}): Asked<SyncAnswer> {
    const asked: Asked<SyncAnswer> = { answer: null }
    const request = {
      group: 'g',
      generation: member.generation,
      memberId: member.memberId,
      instanceId: null,
      protocolType: 'consumer',
      protocol: null,
      assignments: Object.entries(assignments).map(([memberId, text]) => ({ memberId, assignment: Buffer.from(text) })),
    }
    this.group.sync(request, this.nowMs, (answer) => {
      assert.equal(asked.answer, null, 'one answer only')
      asked.answer = answer
    })
    return asked
  }
  heartbeat({ memberId, generation }: Joined): string {
    return this.group.heartbeat({ memberId, generation, instanceId: null }, this.nowMs)?.code ?? 'ok'
  }
  /** Members that have joined and been given something. */
  stable(count: number): Joined[] {
    const asked = Array.from({ length: count }, () => this.join())
    this.pass(this.group.nextMs() - this.nowMs)
    const members = asked.map(joined)
    const leader = members.find(({ memberId, leader: id }) => memberId === id)!
    const given = Object.fromEntries(members.map(({ memberId }, i) => [memberId, `a${i}`]))
    const synced = members.filter((one) => one !== leader).map((one) => this.sync(one))
    synced.push(this.sync(leader, given))
    for (const one of synced) assert.ok(one.answer !== null && 'assignment' in one.answer)
    assert.equal(this.group.state, 'Stable')
    return members
  }
}
function joined({ answer }: Asked<JoinAnswer>): Joined {
  assert.ok(answer !== null && !('fault' in answer), `not joined: ${answer === null ? 'no answer' : ''}`)
  return answer
}
const codeOf = ({ answer }: Asked<JoinAnswer | SyncAnswer>): string | null =>
  answer === null ? null : 'fault' in answer ? answer.fault.code : 'ok'
const given = ({ answer }: Asked<SyncAnswer>): string | null =>
  answer !== null && 'assignment' in answer ? Buffer.from(answer.assignment).toString() : null

test('members that come within the initial delay share the first generation, and the leader sees them all', () => {
  const bench = new Bench(250)
  const a = bench.join()
  bench.pass(100)
  const b = bench.join()
  bench.pass(160)
  assert.equal(a.answer, null, 'the second one has the delay begin again')
  bench.pass(89)
  assert.equal(a.answer, null, 'nobody has come for 249 ms')
  bench.pass(1)
  const [first, second] = [joined(a), joined(b)]
  assert.deepEqual([first.generation, second.generation, first.leader], [1, 1, second.leader])
  const leader = first.leader === first.memberId ? first : second
  assert.equal(leader.members.length, 2)
  assert.equal((leader === first ? second : first).members.length, 0)
})
test('members that keep coming do not hold up the first generation for longer than they let a rebalance take', () => {
  const bench = new Bench(250)
  const asked = [bench.join('', { rebalanceTimeoutMs: 500 })]
  for (let i = 0; i < 2; i++) {
    bench.pass(200)
    asked.push(bench.join('', { rebalanceTimeoutMs: 500 }))
  }
  bench.pass(99)
  assert.deepEqual(asked.map(codeOf), [null, null, null])
  bench.pass(1)
  assert.deepEqual(asked.map(codeOf), ['ok', 'ok', 'ok'])
})
test('an assignment is given when the leader has sent it and it is stored', () => {
  const bench = new Bench()
  const asked = [bench.join(), bench.join()]
  bench.pass(0)
  const [a, b] = asked.map(joined)
  const leader = a!.leader === a!.memberId ? a! : b!
  const follower = leader === a! ? b! : a!
  const waits = bench.sync(follower)
  assert.equal(waits.answer, null)
  bench.storeNow = false
  const leads = bench.sync(leader, { [leader.memberId]: 'L', [follower.memberId]: 'F' })
  assert.deepEqual([waits.answer, leads.answer], [null, null], 'not before it is stored')
  bench.group.stored(bench.group.generation, null, bench.nowMs)
  assert.deepEqual([given(leads), given(waits)], ['L', 'F'])
  assert.equal(given(bench.sync(follower)), 'F', 'and again when asked again')
})
test('a first join is sent away once with its member id', () => {
  const bench = new Bench()
  const first = bench.join('', { memberIdRequired: true })
  assert.equal(codeOf(first), 'log.member-id-required')
  const { memberId } = first.answer as { memberId: string }
  const again = bench.join(memberId, { memberIdRequired: true })
  bench.pass(0)
  assert.equal(joined(again).memberId, memberId)
  bench.join('', { memberIdRequired: true })
  const other = bench.join()
  assert.equal(codeOf(other), null, 'who has been promised a place is waited for')
  bench.join(memberId)
  bench.pass(10_000)
  assert.equal(codeOf(other), 'ok', 'for a session timeout')
})
test('a newcomer has everyone join again; who does not come in time is out', () => {
  const bench = new Bench()
  const [a, b] = bench.stable(2) as [Joined, Joined]
  const c = bench.join()
  assert.equal(bench.heartbeat(a), 'log.rebalance-in-progress')
  const again = bench.join(a.memberId)
  for (let i = 0; i < 6; i++) {
    bench.pass(5_000)
    if (i < 5) assert.equal(bench.heartbeat(b), 'log.rebalance-in-progress', 'alive, but does not join')
  }
  assert.deepEqual([joined(again).generation, joined(c).generation], [2, 2])
  assert.equal(bench.heartbeat(b), 'log.unknown-member')
})
test('a silent member is out after its session timeout, and the others are told', () => {
  const bench = new Bench()
  const [a, b] = bench.stable(2) as [Joined, Joined]
  bench.pass(9_000)
  assert.equal(bench.heartbeat(a), 'ok')
  bench.pass(1_500)
  assert.equal(bench.heartbeat(a), 'log.rebalance-in-progress')
  assert.equal(bench.heartbeat(b), 'log.unknown-member')
})
test('who leaves is gone at once, and the last one leaves the group empty', () => {
  const bench = new Bench()
  const [a, b] = bench.stable(2) as [Joined, Joined]
  const leave = ({ memberId }: Joined): string | undefined =>
    bench.group.leave({ memberId, instanceId: null }, bench.nowMs)?.code
  assert.equal(leave(a), undefined)
  assert.equal(leave(a), 'log.unknown-member')
  const again = bench.join(b.memberId)
  assert.deepEqual([joined(again).generation, joined(again).leader], [2, b.memberId])
  assert.equal(leave(b), undefined)
  assert.deepEqual([bench.group.state, bench.group.members.size], ['Empty', 0])
})
test('the strategy is one that all have, by the most votes', () => {
  const bench = new Bench()
  const protocols = (...names: string[]) => ({
    protocols: names.map((name) => ({ name, metadata: Buffer.from(name) })),
  })
  const asked = [
    bench.join('', protocols('a', 'b', 'c')),
    bench.join('', protocols('c', 'b')),
    bench.join('', protocols('b', 'c')),
  ]
  assert.equal(codeOf(bench.join('', protocols('a'))), 'log.inconsistent-protocol')
  assert.equal(codeOf(bench.join('', { protocolType: 'connect' })), 'log.inconsistent-protocol')
  assert.equal(codeOf(bench.join('', { protocols: [] })), 'log.inconsistent-protocol')
  bench.pass(0)
  const members = asked.map(joined)
  assert.deepEqual(new Set(members.map(({ protocol }) => protocol)), new Set(['b']))
  const leader = members.find((one) => one.memberId === one.leader)!
  assert.deepEqual(
    leader.members.map(({ metadata }) => Buffer.from(metadata).toString()),
    ['b', 'b', 'b'],
  )
})
test('old generations are refused', () => {
  const bench = new Bench()
  const [a] = bench.stable(1) as [Joined]
  const stale = { ...a, generation: a.generation - 1 }
  assert.equal(bench.heartbeat(stale), 'log.illegal-generation')
  assert.equal(codeOf(bench.sync(stale)), 'log.illegal-generation')
  assert.equal(bench.heartbeat({ ...a, memberId: 'nobody' }), 'log.unknown-member')
})
test('a static member that comes back takes its own place without a rebalance, and fences its former self', () => {
  const bench = new Bench()
  const asked = bench.join('', { instanceId: 'i' })
  bench.pass(0)
  const former = joined(asked)
  bench.sync(former, { [former.memberId]: 'mine' })
  const back = joined(bench.join('', { instanceId: 'i' }))
  assert.deepEqual([back.generation, back.leader, back.skipAssignment], [former.generation, back.memberId, true])
  assert.equal(given(bench.sync(back)), 'mine')
  const fenced = bench.group.heartbeat({ ...former, instanceId: 'i' }, bench.nowMs)
  assert.equal(fenced?.code, 'log.fenced-instance')
  assert.equal(bench.group.leave({ memberId: '', instanceId: 'i' }, bench.nowMs), null)
  assert.equal(bench.group.state, 'Empty')
})
for (const skips of [true, false])
  test(`a static leader that comes back ${skips ? 'is told to skip the assignment' : 'before v9 does not assign'}`, () => {
    const bench = new Bench()
    const asked = bench.join('', { instanceId: 'i', skipsAssignment: skips })
    const other = bench.join('', { instanceId: 'j', skipsAssignment: skips })
    bench.pass(0)
    const former = joined(asked)
    const led = former.leader === former.memberId
    assert.ok(led)
    bench.sync(former, { [former.memberId]: 'mine', [joined(other).memberId]: 'theirs' })
    bench.sync(joined(other))
    const back = joined(bench.join('', { instanceId: 'i', skipsAssignment: skips }))
    assert.equal(back.generation, former.generation)
    assert.equal(back.skipAssignment, skips)
    // Kafka's: it knows itself by comparing its id with the leader's.
    assert.equal(back.leader, skips ? back.memberId : former.memberId)
    assert.equal(back.members.length, skips ? 2 : 0)
    assert.equal(given(bench.sync(back)), 'mine')
    assert.equal(bench.group.leader, back.memberId)
    // Who does not lead hears who does.
    const follower = joined(bench.join('', { instanceId: 'j', skipsAssignment: skips }))
    assert.deepEqual([follower.leader, follower.skipAssignment, follower.members], [back.memberId, false, []])
    assert.equal(given(bench.sync(follower)), 'theirs')
  })
test('a static member that comes back is answered when its new id is stored, and is its former self when that fails', () => {
  const bench = new Bench()
  const asked = bench.join('', { instanceId: 'i' })
  bench.pass(0)
  const former = joined(asked)
  bench.sync(former, { [former.memberId]: 'mine' })
  bench.storeNow = false
  const lost = bench.join('', { instanceId: 'i' })
  assert.equal(codeOf(lost), null, 'not answered yet')
  const storesBefore = bench.stored
  bench.group.stored(former.generation, new Fault('store.failed', { what: 'x', path: 'y' }), bench.nowMs)
  assert.equal(codeOf(lost), 'store.failed')
  assert.deepEqual([[...bench.group.members.keys()], bench.group.leader], [[former.memberId], former.memberId])
  assert.equal(bench.stored, storesBefore + 1, 'and stored once more')
  bench.group.stored(former.generation, null, bench.nowMs)
  assert.equal(bench.heartbeat(former), 'ok')
  const back = bench.join('', { instanceId: 'i' })
  bench.group.stored(former.generation, null, bench.nowMs)
  assert.equal(given(bench.sync(joined(back))), 'mine')
})
test('a rebalance that begins before the new id of a static member is stored takes it in', () => {
  const bench = new Bench()
  const asked = bench.join('', { instanceId: 'i' })
  bench.pass(0)
  const former = joined(asked)
  bench.sync(former, { [former.memberId]: 'mine' })
  bench.storeNow = false
  const back = bench.join('', { instanceId: 'i' })
  const newcomer = bench.join()
  bench.pass(0)
  assert.deepEqual([joined(back).generation, joined(newcomer).generation], [2, 2])
  bench.group.stored(former.generation, null, bench.nowMs)
  bench.group.stored(former.generation, new Fault('store.failed', { what: 'x', path: 'y' }), bench.nowMs)
  assert.equal(bench.group.members.size, 2)
})
test('a static member that is away keeps its place for its session timeout, through a rebalance too', () => {
  const bench = new Bench()
  const fixed = bench.join('', { instanceId: 'i', sessionTimeoutMs: 60_000 })
  bench.pass(0)
  const first = joined(fixed)
  bench.sync(first, { [first.memberId]: 'mine' })
  const newcomer = bench.join()
  bench.pass(30_000)
  assert.equal(joined(newcomer).generation, 2)
  assert.equal(bench.group.members.size, 2)
  const leader = joined(newcomer)
  assert.equal(leader.leader, leader.memberId, 'someone who is there leads')
  bench.sync(leader)
  assert.equal(bench.heartbeat(leader), 'ok')
  for (let i = 0; i < 7; i++) {
    bench.pass(5_000)
    bench.heartbeat(leader)
  }
  assert.equal(bench.group.members.size, 1)
})
test('who joins and never asks for its assignment holds nobody up for ever', () => {
  const bench = new Bench()
  const asked = [bench.join(), bench.join()]
  bench.pass(0)
  const [a, b] = asked.map(joined) as [Joined, Joined]
  const leader = a.leader === a.memberId ? a : b
  const silent = leader === a ? b : a
  bench.sync(leader, {})
  for (let i = 0; i < 6; i++) {
    bench.pass(5_000)
    bench.heartbeat(leader)
    bench.heartbeat(silent)
  }
  assert.equal(bench.heartbeat(silent), 'log.unknown-member')
})
test('when the assignment cannot be stored, everyone joins again', () => {
  const bench = new Bench()
  const [a] = [bench.join()]
  bench.pass(0)
  const member = joined(a!)
  bench.storeNow = false
  const waits = bench.sync(member, { [member.memberId]: 'x' })
  const fault = { code: 'store.failed' } as Fault
  bench.group.stored(bench.group.generation, fault, bench.nowMs)
  assert.equal(codeOf(waits), 'store.failed')
  assert.equal(bench.group.state, 'PreparingRebalance')
})
test('positions are committed by current members only, or by anyone while the group is empty', () => {
  const bench = new Bench()
  const commits = (memberId: string, generation: number): string =>
    bench.group.commits({ memberId, generation, instanceId: null }, bench.nowMs)?.code ?? 'ok'
  assert.equal(commits('', -1), 'ok')
  const asked = bench.join()
  bench.pass(0)
  const member = joined(asked)
  assert.equal(commits(member.memberId, 1), 'log.rebalance-in-progress')
  bench.sync(member)
  assert.equal(commits(member.memberId, 1), 'ok')
  assert.equal(commits(member.memberId, 0), 'log.illegal-generation')
  assert.equal(commits('', -1), 'log.unknown-member')
})
test('a stored group goes on where it was', () => {
  const bench = new Bench()
  const [a, b] = bench.stable(2) as [Joined, Joined]
  const record = encodeGroup(bench.group.toStored())
  const next = new Bench()
  next.group.restore(decodeGroup(record), next.nowMs)
  assert.equal(next.group.state, 'Stable')
  assert.deepEqual([next.heartbeat(a), next.heartbeat(b)], ['ok', 'ok'])
  assert.deepEqual([given(next.sync(a)), given(next.sync(b))].sort(), ['a0', 'a1'])
  next.pass(10_000)
  assert.equal(next.group.members.size, 0)
  assert.deepEqual(decodeGroup(encodeGroup(bench.group.toStored())), bench.group.toStored())
})
test('a group has room for so many', () => {
  const bench = new Bench()
  for (let i = 0; i < 5; i++) bench.join()
  assert.equal(codeOf(bench.join()), 'log.group-full')
})

type Step = { who: number; what: 'join' | 'sync' | 'leave' | 'heartbeat' | 'die' | 'pass'; ms: number }
test('whatever members do, every request is answered, generations rise, and a generation has one leader', () => {
  const step = fc.record({
    who: fc.nat(3),
    what: fc.constantFrom('join', 'sync', 'leave', 'heartbeat', 'die', 'pass') as fc.Arbitrary<Step['what']>,
    ms: fc.nat(8_000),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const bench = new Bench(250)
      const clients = [0, 1, 2, 3].map(() => ({
        id: '',
        joining: null as Asked<JoinAnswer> | null,
        member: null as Joined | null,
      }))
      const asked: Asked<JoinAnswer | SyncAnswer>[] = []
      const leaders = new Map<number, string>()
      let generation = 0
      const see = (client: (typeof clients)[number]): void => {
        const { joining } = client
        if (joining === null || joining.answer === null) return
        client.joining = null
        const { answer } = joining
        if ('fault' in answer) {
          client.id = answer.fault.code === 'log.member-id-required' ? answer.memberId : ''
          return
        }
        client.id = answer.memberId
        client.member = answer
        assert.ok(answer.generation >= generation || bench.group.generation >= answer.generation)
        generation = Math.max(generation, answer.generation)
        const leader = leaders.get(answer.generation)
        assert.ok(leader === undefined || leader === answer.leader, 'two leaders in one generation')
        leaders.set(answer.generation, answer.leader)
      }
      for (const { who, what, ms } of steps) {
        const client = clients[who]!
        clients.forEach(see)
        if (what === 'pass') bench.pass(ms)
        else if (what === 'join' && client.joining === null) {
          client.joining = bench.join(client.id, { memberIdRequired: true })
          asked.push(client.joining)
        } else if (what === 'die') Object.assign(client, { id: '', joining: null, member: null })
        else if (client.member !== null && client.joining === null) {
          if (what === 'sync') asked.push(bench.sync(client.member, { [client.id]: 'x' }))
          else if (what === 'heartbeat') bench.heartbeat(client.member)
          else if (what === 'leave') {
            bench.group.leave({ memberId: client.id, instanceId: null }, bench.nowMs)
            Object.assign(client, { id: '', member: null })
          }
        }
      }
      bench.pass(200_000)
      for (const one of asked) assert.notEqual(one.answer, null, 'a request without an answer')
      assert.deepEqual([bench.group.state, bench.group.members.size], ['Empty', 0], 'everyone silent is out')
      assert.equal(bench.group.nextMs(), Infinity)
    }),
    { numRuns: 300 },
  )
})
