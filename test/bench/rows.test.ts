import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, Report, type RowSpec } from '../../bench/lib/rows.ts'

const speed: RowSpec = { row: 'speed', unit: 'MB/s', better: 'higher', goal: 1 }
const delay: RowSpec = { row: 'delay', unit: 'ms', better: 'lower', goal: null }
const start: RowSpec = { row: 'start', unit: 'ms', better: 'lower', goal: 1_000, alone: true }

function rowsOf(fill: (report: Report) => void) {
  const report = new Report('kafka', [speed, delay, start])
  fill(report)
  return Object.fromEntries(report.rows().map((row) => [row.row, row]))
}
const both = (report: Report, row: string, ours: number, theirs: number): void => {
  report.sample(row, 'ours', ours)
  report.sample(row, 'theirs', theirs)
}

test('a ratio above 1 is better for us, whichever way the unit points', () => {
  const rows = rowsOf((report) => {
    both(report, 'speed', 300, 200)
    both(report, 'delay', 2, 6)
  })
  assert.equal(rows['speed']!.ratio, 1.5)
  assert.equal(rows['delay']!.ratio, 3)
})

test('a row is declared before it is measured: one that never was is printed as failed', () => {
  const rows = rowsOf((report) => both(report, 'delay', 1, 1))
  const missing = { bench: 'kafka', row: 'speed', unit: 'MB/s', ours: null, theirs: null, ratio: null, goal: 1 }
  assert.deepEqual(rows['speed'], { ...missing, ok: false, runs: 0 })
  assert.equal(rows['delay']!.ok, true)
})

test('one side alone is a failed row, except where we stand alone', () => {
  const rows = rowsOf((report) => {
    report.sample('delay', 'theirs', 5)
    report.sample('start', 'ours', 300)
  })
  assert.equal(rows['delay']!.ok, false)
  assert.equal(rows['start']!.ok, true)
})

test('a goal is of the ratio beside a peer, of our own figure alone', () => {
  const rows = rowsOf((report) => {
    both(report, 'speed', 199, 200)
    report.sample('start', 'ours', 1_001)
  })
  assert.equal(rows['speed']!.ok, false)
  assert.equal(rows['start']!.ok, false)
})

test('the figure of a row is the median of its runs', () => {
  const rows = rowsOf((report) => {
    for (const value of [100, 900, 300]) report.sample('speed', 'ours', value)
    for (const value of [100, 200]) report.sample('speed', 'theirs', value)
  })
  assert.equal(rows['speed']!.ours, 300)
  assert.equal(rows['speed']!.theirs, 150)
  assert.equal(rows['speed']!.runs, 3)
  assert.equal(median([]), null)
})

test('what is no number is not taken for a measurement', () => {
  assert.throws(() => rowsOf((report) => report.sample('speed', 'ours', Number.NaN)), /no measurement/)
  assert.throws(() => rowsOf((report) => report.sample('sped', 'ours', 1)), /no row is declared/)
})

test('only the rows that are asked for are printed, and a measurement asks whether any of its rows is', () => {
  const cpu: RowSpec = { row: 'speed, CPU', unit: 's/GB', better: 'lower', goal: null }
  const report = new Report('kafka', [speed, cpu, delay], 'CPU')
  both(report, 'speed', 1, 1)
  both(report, 'speed, CPU', 1, 1)
  assert.deepEqual(
    report.rows().map(({ row }) => row),
    ['speed, CPU'],
  )
  assert.equal(report.wantsAny([speed, cpu]), true)
  assert.equal(report.wantsAny([speed, delay]), false)
  assert.throws(() => report.sample('sped', 'ours', 1), /no row is declared/)
  assert.equal(new Report('kafka', [speed], 'nothing').isEmpty, true)
})
