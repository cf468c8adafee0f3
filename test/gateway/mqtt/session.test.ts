/** What a session does with a connection that has no room: nothing is lost, nothing is held twice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Link, type Outgoing, Session, type SessionHost } from '../../../src/gateway/mqtt/session.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Message } from '../../../src/log/mqtt-message.ts'
import { anonymous } from '../../../src/security/principal.ts'
import { quiet } from './fixture.ts'

const large: Message = {
  topic: 'firmware',
  payload: Buffer.alloc(100_000),
  qos: 1,
  retain: false,
  properties: null,
  timeMs: 0,
  expiresMs: Infinity,
  publisher: null,
  place: { topic: 'mqtt.firmware', index: 0, offset: 7 },
}

test('a message that was under way waits in the log until its client has room for it', async () => {
  let fetched = 0
  const nothing = (): void => {}
  const host = {
    clock: realWorld().clock,
    queued: { bytes: 0 },
    touch: nothing,
    dropped: nothing,
    fetch: () => {
      fetched++
      return Promise.resolve(large)
    },
  } as unknown as SessionHost
  const session = new Session(host, 'device', { principal: anonymous, host: '' })
  const entry: Outgoing = {
    ...{ id: 3, qos: 1, retain: false, ids: null, group: null, place: large.place, message: null },
    ...{ isReleased: false, wasSent: true },
  }
  session.restored({ lastId: 3, out: [entry] })
  let room = 0
  const sent: number[] = []
  const link: Link = {
    version: 5,
    isOpen: true,
    hasRoom: (bytes) => bytes <= room,
    publish: (_message, { id }, again) => {
      assert.equal(again, true)
      sent.push(id)
      return true
    },
    acknowledge: nothing,
    failed: nothing,
    takenOver: nothing,
    ended: nothing,
  }
  session.connected(link, 10)
  await quiet(20)
  assert.deepEqual([fetched, sent, entry.message], [1, [], null])
  room = 200_000
  session.more()
  await quiet(20)
  assert.deepEqual([fetched, sent], [2, [3]])
  session.acknowledged('puback', 3, 0)
  assert.equal(session.out.size, 0)
})
