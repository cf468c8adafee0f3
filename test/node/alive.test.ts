import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const index = new URL('../../src/index.ts', import.meta.url).href
const ran = (body: string): { status: number | null; stdout: string; stderr: string } => {
  const program = `import { start } from ${JSON.stringify(index)}
    const millrace = await start({ data: ':memory:' })
    await millrace.sql("CREATE STREAM s (n int) WITH (topic = 's')")
    await millrace.sql('CREATE MATERIALIZED VIEW v AS SELECT n FROM s')
    ${body}`
  return spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8', timeout: 60_000 })
}

test('a program that waits for a change stays until it has come', () => {
  const { status, stdout, stderr } = ran(`
    setTimeout(() => void millrace.sql('INSERT INTO s VALUES (7)'), 300).unref()
    for await (const { row } of millrace.view({ name: 'v' }).changes()) { console.log(row.n); break }
    await millrace.close()`)
  assert.deepEqual([status, stdout], [0, '7\n'], stderr)
})
test('a program that waits for nothing ends, also without closing', () => {
  const { status, stdout, stderr } = ran(`await millrace.sql('INSERT INTO s VALUES (7); FLUSH'); console.log('done')`)
  assert.deepEqual([status, stdout], [0, 'done\n'], stderr)
})
test('a program that waits for its views to start stays until they have', () => {
  const program = `import { start, defineTopic, defineView, count } from ${JSON.stringify(index)}
    const events = defineTopic('events', { schema: {}, jsonSchema: { type: 'object', properties: { n: { type: 'integer' } } } })
    const views = [defineView('w', events.stream().groupBy('n').aggregate({ c: count() }))]
    await start({ data: ':memory:', topics: [events], views })
    console.log('there')`
  const words = ['--input-type=module', '--eval', program]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual([status, stdout], [0, 'there\n'], stderr)
})
test('a fault names the call of the program that met it', () => {
  const program = `import { start } from ${JSON.stringify(index)}
    async function asked(millrace) { await millrace.sql('SELECT * FROM nothing') }
    const millrace = await start({ data: ':memory:' })
    await asked(millrace).catch((error) => console.log(/at async asked/.test(error.stack), error.message))
    await millrace.close()`
  const words = ['--input-type=module', '--eval', program]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual([status, stdout.startsWith('true')], [0, true], stdout + stderr)
})
