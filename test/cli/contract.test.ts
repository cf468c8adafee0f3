/** What holds for every command, read from the specification itself. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { reference } from '../../src/cli/help.ts'
import { outputFormats } from '../../src/cli/output.ts'
import { version } from '../../src/node/version.ts'
import { millraceAt, run } from './run.ts'

const millrace = millraceAt('http://127.0.0.1:9')

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
  assert.match((await millrace('topic', 'lsit')).stderr, /did you mean topic list\?/)
  assert.match((await millrace('tpoic', 'list')).stderr, /did you mean topic list\?/)
  assert.match((await millrace('hepl')).stderr, /did you mean help\?/)
  assert.match((await millrace('topic')).stderr, /it is one of topic list, topic show/)
  assert.match((await millrace('help', 'topic', 'craete')).stderr, /did you mean topic create\?/)
  assert.match((await millrace('-o', 'json', 'topic', 'list')).stderr, /-o stands before the command/)
  const missing = await millrace('topic', 'show')
  assert.equal(missing.code, 2)
  assert.match(missing.stderr, /TOPIC is missing\n {2}For example: millrace topic show purchases/)
  assert.equal((await millrace('topic', 'list', '--colour')).code, 2)
  const option = await millrace('produce', 'purchases', '--vlaue', '1')
  assert.equal(option.code, 2)
  assert.match(option.stderr, /there is no option --vlaue; did you mean --value\?\n {2}See `millrace help produce`/)
  assert.equal((await millrace('topic', 'list', '--server', 'ftp://x')).code, 2)
  assert.equal((await millrace('topic', 'list', '-o', 'xml')).code, 2)
  assert.equal((await millrace('serve', '--listen', 'kafka=0.0.0.0:9092')).code, 2)
})

test('a file of SQL that is not there is said so, not called a fault of Millrace', async () => {
  const ran = await millrace('sql', 'nowhere.sql')
  assert.equal(ran.code, 3)
  assert.match(ran.stderr, /^millrace: nowhere\.sql cannot be read: ENOENT/)
})

test('the program is compiled once: the next start takes what the one before left', async () => {
  const { NODE_DISABLE_COMPILE_CACHE: _, ...env } = process.env
  await run('src/cli/main.ts', ['version'], env)
  const again = await run('src/cli/main.ts', ['version'], { ...env, NODE_DEBUG_NATIVE: 'COMPILE_CACHE' })
  assert.match(`${again.stdout}${again.stderr}`, /V8 code cache for ESM file:\S*\/src\/cli\/run\.ts was accepted/)
})

test('the version is the package', async () => {
  assert.equal((await millrace('--version')).stdout, `millrace ${version}\n`)
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
