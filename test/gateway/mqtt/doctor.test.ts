import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SessionFacts, diagnose } from '../../../src/gateway/mqtt/doctor.ts'
import { limits } from '../../../src/lib/limits.ts'

const well: SessionFacts = { nowMs: 0, sessions: 10, away: 5, heldBytes: 1_000, behind: { count: 0, some: [] } }

test('sessions that are nearly as many, or hold nearly as much, as there may be', () => {
  assert.deepEqual(diagnose(well), [])
  const most = limits.mqttSessions
  assert.deepEqual(diagnose({ ...well, sessions: most * 0.8 - 1 }), [])
  const [many] = diagnose({ ...well, sessions: most * 0.9, away: 7 })
  assert.deepEqual([many!.code, many!.evidence], ['nearly-full', ['the clients of 7 of them are away']])
  assert.match(many!.says, /180000 sessions, and there may be 200000/)
  const [large] = diagnose({ ...well, heldBytes: limits.mqttSessionsBytes * 0.9 })
  assert.match(large!.says, /bytes/)
})

test('of many sessions that are behind some are named', () => {
  const some = [{ client: 'a', messages: 1_000, isAll: true, leftMs: 0, endsByItself: true }]
  const [found] = diagnose({ ...well, nowMs: 90_000, behind: { count: 12, some } })
  assert.match(found!.says, /^12 sessions have 1000 messages waiting or more each/)
  assert.deepEqual(found!.evidence, ['a: 1000, away for 90s'])
})
