/**
 * kinesalite's own tests, unchanged, against Millrace with the limits and answers of the service as it was when they were
 * written (`--kinesis model=2020`), a limit of 50 shards and changes that take half a second.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { kinesaliteSuite, millraceCommand } from './setup/index.ts'

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const count = 285

interface Outcome {
  readonly title: string
  readonly error: string | null
}
interface Report {
  readonly passes: readonly { readonly fullTitle: string }[]
  readonly failures: readonly { readonly fullTitle: string; readonly err: { readonly message: string } }[]
}
const settings = ['change-time=500ms', 'shards=50', 'model=2020'].flatMap((piece) => ['--kinesis', piece])
const serve = [
  'serve',
  '--data',
  ':memory:',
  '--workers',
  '0',
  '--listen',
  'kafka=off',
  '--listen',
  'http=off',
  ...settings,
]

const plain = (title: string): string => title.replaceAll(/ +/g, ' ')

function outcomesOf(dir: string, file: string): Promise<readonly Outcome[]> {
  const mocha = [
    join(dir, 'node_modules', '.bin', 'mocha'),
    '--require',
    'should',
    '--reporter',
    'json',
    '-t',
    '30s',
    '--exit',
  ]
  const words = [...mocha, join('test', file)]
  const env = { ...process.env, MILLRACE_WORDS: JSON.stringify([...millraceCommand(), ...serve]) }
  const child = spawn(process.execPath, words, { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said: Buffer[] = []
  child.stdout.on('data', (part: Buffer) => said.push(part))
  child.stderr.on('data', (part: Buffer) => said.push(part))
  return new Promise((resolve, reject) =>
    child.once('close', () => {
      const text = Buffer.concat(said).toString()
      try {
        const report = JSON.parse(text.slice(text.indexOf('{\n'), text.lastIndexOf('}') + 1)) as Report
        resolve([
          ...report.passes.map(({ fullTitle }) => ({ title: plain(fullTitle), error: null })),
          ...report.failures.map(({ fullTitle, err }) => ({ title: plain(fullTitle), error: err.message })),
        ])
      } catch {
        reject(new Error(`${file}: no report\n${text.slice(-2_000)}`))
      }
    }),
  )
}

test('kinesalite: its tests', { skip, timeout: 590_000 }, async (t) => {
  const dir = await kinesaliteSuite().catch((error: Error) => {
    t.skip(
      `its tests are in no package, and could not be had from GitHub (MILLRACE_KINESALITE may name a clone): ${error.message}`,
    )
    return null
  })
  if (dir === null) return
  const files = globSync('*.js', { cwd: join(dir, 'test') })
    .filter((file) => file !== 'helpers.js')
    .toSorted()
  assert.ok(files.length >= 18, `${files.length} files`)
  // Five minutes of it are waiting.
  const waiting = outcomesOf(dir, 'getRecords.js')
  let seen = 0
  for (const file of files)
    await t.test(basename(file, '.js'), async (tt) => {
      const outcomes = await (file === 'getRecords.js' ? waiting : outcomesOf(dir, file))
      for (const { title, error } of outcomes) {
        seen++
        await tt.test(title, () => assert.equal(error, null))
      }
    })
  assert.equal(seen, count)
})
