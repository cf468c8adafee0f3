/** What holds for every command, read from the specification itself. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { reference } from '../../src/cli/help.ts'
import { outputFormats } from '../../src/cli/output.ts'

const main = resolve(import.meta.dirname, '../../src/cli/main.ts')
interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
function millrace(...words: string[]): Promise<Ran> {
  return new Promise((done) => {
    const env = { ...process.env, MILLRACE_SERVER: 'http://127.0.0.1:9' }
    const child = execFile(process.execPath, [main, ...words], { env }, (error, stdout, stderr) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
    child.stdin?.end()
  })
}

test('every command has a summary and an example that names it', () => {
  assert.ok(commands.length > 10)
  for (const command of commands) {
    assert.ok(command.summary.length > 3, command.path.join(' '))
    assert.ok(
      command.examples.some((example) => example.includes(`millrace ${command.path.join(' ')}`)),
      command.path.join(' '),
    )
  }
})

test('help lists every command, and each command has its own', async () => {
  const help = await millrace('help')
  assert.equal(help.code, 0)
  for (const command of commands) assert.ok(help.stdout.includes(command.path.join(' ')), command.path.join(' '))
  const one = await millrace('topic', 'create', '--help')
  assert.match(one.stdout, /Examples:\n {2}millrace topic create/)
})

test('a wrong word is a usage error with a suggestion, exit code 2', async () => {
  const wrong = await millrace('topics', 'list')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /did you mean topic list/)
  assert.equal((await millrace('topic', 'show')).code, 2)
  assert.equal((await millrace('topic', 'list', '--colour')).code, 2)
  assert.equal((await millrace('topic', 'list', '-o', 'xml')).code, 2)
  assert.equal((await millrace('serve', '--listen', 'kafka=0.0.0.0:9092')).code, 2)
})

test('without a server every form of output says so on standard error, and nothing on standard output', async () => {
  for (const format of outputFormats) {
    const ran = await millrace('topic', 'list', '-o', format)
    assert.equal(ran.code, 1, format)
    assert.equal(ran.stdout, '')
    assert.match(ran.stderr, /nothing answers at http:\/\/127\.0\.0\.1:9/)
    assert.ok(!ran.stderr.includes('\u001b'), 'no colour codes in a pipe')
  }
  const json = JSON.parse((await millrace('topic', 'list', '-o', 'json')).stderr) as { code: string; hint: string }
  assert.equal(json.code, 'cli.no-server')
  assert.match(json.hint, /millrace serve/)
})

test('docs/cli.md is what the specification says', () => {
  assert.equal(readFileSync('docs/cli.md', 'utf8'), reference(commands), 'run node scripts/cli-docs.ts')
})
