/** The checker of `nexmark` lets a right history pass and names what is planted into it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nexmarkEvents } from '../../bench/nexmark/generate.ts'
import type { RecordJson } from '../../src/gateway/http/api.ts'
import { encodeOrigin, originHeader } from '../../src/log/origin.ts'
import { reference } from '../nexmark/reference.ts'
import { type Found, againstLoops, againstUndisturbed } from './nexmark-output.ts'

const events = [...nexmarkEvents({ events: 240, seed: 7, rate: 50 })]
const topicId = '00000000-0000-4000-8000-000000000001'
const random = (): number => 0.5

/** A right view of q4 that commits every 20 events, and one of q20, which only grows. */
function history(): { q4: Found; q20: Found } {
  const q4: RecordJson[] = []
  const q20: RecordJson[] = []
  let offset = 0
  const held = new Map<string, string>()
  const given = new Set<string>()
  for (let until = 20; until <= events.length; until += 20) {
    const rows = reference(events.slice(0, until))
    for (const line of rows['q4']!) {
      const { category } = JSON.parse(line) as { category: number }
      if (held.get(String(category)) === line) continue
      held.set(String(category), line)
      q4.push(record(offset++, until, JSON.parse(line), { category }))
    }
    for (const line of rows['q20']!) {
      if (given.has(line)) continue
      given.add(line)
      q20.push(record(offset++, until, JSON.parse(line), null))
    }
    offset++
  }
  const state = new Map([['key', 'value']])
  return {
    q4: { query: 'q4', closes: false, records: q4, state },
    q20: { query: 'q20', closes: false, records: q20, state },
  }
}
function record(offset: number, until: number, row: unknown, key: unknown): RecordJson {
  const origin = encodeOrigin({ ranges: [{ topicId, partition: 0, first: until - 20, last: until - 1 }], state: true })
  return {
    partition: 0,
    offset,
    timestamp: new Date(0).toISOString(),
    key: key === null ? null : { json: key },
    value: { json: row },
    headers: [{ name: originHeader, value: { base64: origin.toString('base64') } }],
  }
}
const without = (found: Found, at: number): Found => ({ ...found, records: found.records.filter((_, i) => i !== at) })
const checked = (found: Found): readonly string[] => againstLoops([found], events, random).problems

test('a right history has no problem, and states in between were looked at', () => {
  const { q4, q20 } = history()
  const { problems, instants } = againstLoops([q4, q20], events, random)
  assert.deepEqual(problems, [])
  assert.ok(instants >= 10, `${instants} instants`)
  assert.deepEqual(againstUndisturbed([q4, q20], [q4, q20]), [])
})
test('a lost row, a repeated one, and a state of no prefix are named', () => {
  const { q4, q20 } = history()
  assert.match(checked(without(q20, 3)).join(), /q20: 1 missing/)
  assert.match(checked({ ...q20, records: [...q20.records, q20.records[0]!] }).join(), /q20: .*1 too much/)
  // Later rows of its category hide it from the final state.
  assert.match(checked(without(q4, 2)).join(), /q4: after \d+ records it was of no prefix/)
})
test('another state, and another order of a key, are named', () => {
  const { q4, q20 } = history()
  assert.match(againstUndisturbed([{ ...q4, state: new Map() }], [q4]).join(), /q4: its state/)
  const keyed = (records: readonly RecordJson[]): Found => ({
    ...q20,
    records: records.map((r) => ({ ...r, key: { json: 1 } })),
  })
  assert.match(againstUndisturbed([keyed(q20.records.toReversed())], [keyed(q20.records)]).join(), /per key/)
})
