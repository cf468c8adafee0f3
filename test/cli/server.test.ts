/** Commands against a running Millrace, in one process of their own each. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { millraceAt, type Ran, run } from './run.ts'

let running: Running
let millrace: (...words: string[]) => Promise<Ran>
before(async () => {
  const { config } = resolveConfig({ data: ':memory:', listen: ['http=127.0.0.1:0', 'kafka=off'] }, {}, {})
  running = await startMillrace({ config, world: realWorld(), logger: silent })
  // Without http://: HOST:PORT is enough.
  millrace = millraceAt(running.listening().http!)
  await millrace('topic', 'create', 'purchases')
  const made = await millrace(
    'sql',
    '-c',
    `CREATE STREAM purchases (item text, amount numeric(12,2)) WITH (on_invalid = 'null');`,
  )
  assert.deepEqual(made, { code: 0, stdout: 'CREATE STREAM\n', stderr: '' })
})
after(() => running.close())

test('no digit of a number is lost, whatever the form of output', async () => {
  const sql = 'SELECT 9223372036854775807::bigint AS big, 12345678901234567890.5::numeric AS long'
  assert.match(
    (await millrace('sql', '-c', sql)).stdout,
    /^ +BIG {2}LONG\n9223372036854775807 {2}12345678901234567890\.5\n$/,
  )
  for (const format of ['json', 'jsonl', 'yaml'])
    assert.match((await millrace('sql', '-c', sql, '-o', format)).stdout, /\bbig\b"?: ?9223372036854775807\b/, format)
  await millrace('produce', 'purchases', '--value', '{"item":"pen","amount":1.10}')
  const tail = await millrace('tail', 'purchases', '--from', 'earliest', '--limit', '1')
  assert.match(tail.stdout, /\{"item":"pen","amount":1\.10\}\n$/)
})

test('a fault in a SQL text names its SQLSTATE and shows the place', async () => {
  const wrong = await millrace('sql', '-c', 'SELECT itm FROM purchases')
  assert.equal(
    wrong.stderr,
    'ERROR 42703: column "itm" does not exist\nLINE 1: SELECT itm FROM purchases\n               ^\nHINT: Perhaps you meant item.\n',
  )
  const json = JSON.parse((await millrace('sql', '-c', 'SELECT itm FROM purchases', '-o', 'json')).stderr) as object
  assert.equal((json as { sqlstate: string }).sqlstate, '42703')
})
test('each SELECT of a text is answered, and a fault says its line in the whole text', async () => {
  const { stdout } = await millrace(
    'sql',
    '-c',
    `SELECT 1 AS a; FLUSH; SELECT ';' AS b;\nSHOW FUNCTIONS; SELECT 3 AS c`,
  )
  assert.match(stdout, /^A\n1\n+B\n;\n[^]*\nC\n3\n$/)
  const wrong = await millrace('sql', '-c', 'SELECT 1 AS a;\nSELECT 2 AS b; SELECT itm\nFROM purchases')
  assert.match(wrong.stdout, /^A\n1\n+B\n2\n$/)
  assert.match(wrong.stderr, /^ERROR 42703: column "itm" does not exist\nLINE 2: +SELECT itm\n/)
  const misspelt = await millrace('sql', '-c', 'SELECT 1 AS a; SELEC 2')
  assert.equal(misspelt.stdout, '')
  assert.match(misspelt.stderr, /SELEC/)
})
test('a value that cannot be computed names its SQLSTATE too; there is no place to show', async () => {
  const wrong = await millrace('sql', '-c', 'SELECT 1 / 0')
  assert.match(wrong.stderr, /^ERROR 22012: division by zero\nHINT: .+\n$/)
  const json = JSON.parse((await millrace('sql', '-c', 'SELECT 1 / 0', '-o', 'json')).stderr) as object
  assert.deepEqual([(json as { sqlstate: string }).sqlstate, 'excerpt' in json], ['22012', false])
})

test('doctor says why a view gives nothing, and nothing of one that does', async () => {
  await millrace('sql', '-c', `CREATE MATERIALIZED VIEW cheap AS SELECT item FROM purchases WHERE item = 'PEN'; FLUSH`)
  const told = await millrace('doctor', 'cheap')
  assert.equal(told.code, 0, told.stderr)
  assert.match(told.stdout, /^cheap: filter-passes-nothing\n.*'PEN' is asked for, 'pen' is there\n.*To do: /s)
  const [line] = (await millrace('doctor', '-o', 'jsonl')).stdout.trim().split('\n')
  assert.equal((JSON.parse(line!) as { code: string }).code, 'filter-passes-nothing')
  await millrace('sql', '-c', `CREATE MATERIALIZED VIEW fine AS SELECT item FROM purchases; FLUSH`)
  assert.match((await millrace('doctor', 'fine')).stdout, /^fine: no cause for trouble is known\n$/)
  await millrace(
    'connector',
    'create',
    'fine',
    '--sink',
    'kafka',
    '--set',
    'brokers=127.0.0.1:1',
    '--set',
    'topics=none',
  )
  await millrace('connector', 'pause', 'fine')
  const both = await millrace('doctor', 'fine')
  assert.match(both.stdout, /^fine: paused\n[^]*connector resume fine\n\nfine: no cause for trouble is known\n$/)
  assert.match((await millrace('doctor', '-o', 'jsonl')).stdout, /"connector":"fine"/)
  const missing = await millrace('doctor', 'cheep')
  assert.equal(missing.code, 3)
  assert.match(missing.stderr, /cheap/)
})

test('a misspelt name is answered with the one that was meant', async () => {
  for (const words of [
    ['topic', 'show', 'purchase'],
    ['tail', 'purchase'],
    ['produce', 'purchase', '--value', '1'],
    ['view', 'show', 'purchase'],
  ]) {
    const ran = await millrace(...words)
    assert.equal(ran.code, 3, words.join(' '))
    assert.match(ran.stderr, /does not exist\n {2}Perhaps you meant purchases\.\n$/, words.join(' '))
  }
  assert.match((await millrace('topic', 'show', 'zzzzzz')).stderr, /millrace topic list/)
})

test('of many events, the one that was refused is named', async () => {
  const events = '{"item":"a"}\n{"item":\n{"item":"b"}\n'
  const words = ['produce', 'purchases', '-o', 'json']
  const env = { ...process.env, MILLRACE_SERVER: running.listening().http! }
  const ran = await run('src/cli/main.ts', words, env, events)
  assert.deepEqual(JSON.parse(ran.stdout), { topic: 'purchases', stored: 2, refused: 1 })
  assert.match((JSON.parse(ran.stderr) as { message: string }).message, /^1 refused: event 2: this is not JSON/)
  assert.equal(ran.code, 1)
})

test('headings are words', async () => {
  assert.match(
    (await millrace('topic', 'list')).stdout,
    /^NAME +PARTITIONS +RECORDS +BYTES +RECORDS PER SECOND +CLEANUP POLICY/,
  )
})

test('a port that is taken is said in plain words, by `npm start` too', async () => {
  const other = createServer()
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done))
  const at = `127.0.0.1:${(other.address() as { port: number }).port}`
  const words = ['--data', ':memory:', '--listen', `http=${at}`, '--listen', 'kafka=off']
  const ran = await millrace('serve', ...words)
  const started = await run('scripts/start.ts', words, process.env)
  other.close()
  for (const { code, stderr } of [ran, started]) {
    assert.match(
      stderr,
      new RegExp(`^millrace: http cannot listen on ${at}: another program listens there\n  Stop .*--listen`),
    )
    assert.equal(stderr.split('\n').length, 3)
    assert.equal(code, 2)
  }
})
