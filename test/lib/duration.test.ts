import assert from 'node:assert/strict'
import { test } from 'node:test'
import { about } from '../../src/lib/duration.ts'

test('about how long: two whole units at least, never less than it is', () => {
  const said = [0, 7, 1_999, 2_001, 95_000, 119_000, 121_000, 7_200_000, 90_000_000, 23_966_408_000].map(about)
  assert.deepEqual(said, ['0ms', '7ms', '1999ms', '3s', '95s', '119s', '3m', '2h', '25h', '278d'])
})
