import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SubscriptionFacts, diagnose } from '../../../src/gateway/pubsub/doctor.ts'

const minuteMs = 60_000
const nowMs = 1_000 * minuteMs
const facts: SubscriptionFacts = {
  id: 'mailers',
  pushTo: null,
  lag: 7,
  oldestMs: nowMs - 30 * minuteMs,
  activeMs: nowMs,
  retentionMs: 7 * 24 * 60 * minuteMs,
}
const codes = (change: Partial<SubscriptionFacts>): string[] =>
  diagnose([{ ...facts, ...change }], nowMs).map(({ code }) => code)

test('a subscription is named when its oldest message is old, by what is done with it', () => {
  assert.deepEqual(codes({}), ['unacknowledged'])
  assert.deepEqual(codes({ activeMs: nowMs - 11 * minuteMs }), ['nobody-pulls'])
  assert.deepEqual(codes({ pushTo: 'https://example.test/in' }), ['push-behind'])
  assert.deepEqual(diagnose([facts], nowMs)[0]!.evidence, ['the oldest is 30m old', 'they are kept for 7d'])
})

test('one that has nothing waiting, only what is new, or what nobody can date, is well', () => {
  assert.deepEqual(codes({ lag: 0 }), [])
  assert.deepEqual(codes({ oldestMs: nowMs - 9 * minuteMs }), [])
  assert.deepEqual(codes({ oldestMs: null, activeMs: 0 }), [])
})
