/** What is wrong in a project's folder says in which file and where, and costs nothing that is there. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { offset } from '../../src/lib/brand.ts'
import { z } from 'zod'
import { count, defineTopic, defineView } from '../../src/dsl/index.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { silent } from '../../src/lib/logger.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { loadProject } from '../../src/node/project.ts'
import { testMillrace } from '../../src/testing.ts'

class Folder implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'millrace-project-'))
  readonly world = { ...realWorld(), disk: memoryDisk() }
  running: Running | null = null

  write(file: string, text: string): void {
    writeFileSync(join(this.dir, file), text)
  }
  remove(file: string): void {
    rmSync(join(this.dir, file))
  }
  async start(): Promise<void> {
    const { config } = resolveConfig({ data: 'data', listen: ['http=off', 'kafka=off', 'peer=off'] }, {}, {})
    const definitions = await loadProject(this.dir)
    this.running = await startMillrace({ config, world: this.world, logger: silent, definitions })
  }
  async stop(): Promise<void> {
    await this.running?.close()
    this.running = null
  }
  async rows(text: string): Promise<unknown[][]> {
    const found: unknown[][] = []
    for await (const row of (await this.running!.engine.run(text)).rows) found.push([...row])
    return found
  }
  async refused(code: string, message: RegExp, excerpt?: RegExp): Promise<void> {
    await assert.rejects(this.start(), (fault: Fault) => {
      assert.equal(fault.code, code, fault.message)
      assert.match(fault.message, message)
      if (excerpt !== undefined) assert.match(String((fault.facts as { excerpt: string }).excerpt), excerpt)
      return true
    })
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.dir, { recursive: true })
  }
}
const stream = 'CREATE STREAM sales (item text, n int);\n'

test('statements: the file, the line and the column', async () => {
  await using folder = new Folder()
  folder.write('a.sql', `${stream}\nCREATE MATERIALIZED VIEW v AS\n  SELECT itm FROM sales;`)
  await folder.refused('sql.unknown-column', /^a\.sql:4:10: column "itm" does not exist/, /^LINE 4: {3}SELECT itm/)
  folder.write('a.sql', `${stream}CREATE MATERIALIZED VIW v AS SELECT item FROM sales;`)
  await folder.refused('sql.syntax', /^a\.sql:2:21: syntax error/)
  folder.write('a.sql', `${stream}SELECT 1;`)
  await folder.refused('sql.unsupported', /^a\.sql:2:1: a project file holds definitions only/)
})

test('TypeScript: the file, and the line where it is known', async () => {
  await using folder = new Folder()
  folder.write('b1.ts', 'export const a = 1\n\nexport const = 3\n')
  await folder.refused('project.invalid-file', /^b1\.ts:3 cannot be loaded: /)
  folder.remove('b1.ts')
  folder.write('b2.ts', `import { nothing } from './none.ts'\nexport const a = nothing\n`)
  await folder.refused('project.invalid-file', /^b2\.ts cannot be loaded: .*none\.ts/)
  folder.remove('b2.ts')
  folder.write('b3.ts', `import { defineTopic } from 'millrace'\nexport const t = defineTopic('t', { schema: {} })\n`)
  await folder.refused('config.invalid', /^b3\.ts: /)
  folder.remove('b3.ts')
  folder.write('b4.ts', `throw new Error('no luck')\n`)
  await folder.refused('project.invalid-file', /^b4\.ts:1 cannot be loaded: no luck/)
  folder.remove('b4.ts')
  folder.write('a.sql', stream)
  folder.write(
    'b5.ts',
    `import { defineView, sql } from 'millrace'\nexport const v = defineView('v', sql\`SELECT itm FROM sales\`)\n`,
  )
  await folder.refused('sql.unknown-column', /^b5\.ts:1:\d+: column "itm" does not exist/, /SELECT itm FROM sales/)
})

test('a name that is defined twice', async () => {
  await using folder = new Folder()
  folder.write('a.sql', `${stream}CREATE MATERIALIZED VIEW v AS SELECT item FROM sales;`)
  folder.write(
    'b.ts',
    `import { defineView, sql } from 'millrace'\nexport const v = defineView('v', sql\`SELECT n FROM sales\`)\n`,
  )
  await folder.refused('project.duplicate', /view v more than once: in a\.sql and b\.ts/)
  folder.remove('b.ts')
  folder.write('c.sql', 'CREATE TABLE V (item text PRIMARY KEY);')
  await folder.refused('project.duplicate', /table V more than once: in a\.sql and c\.sql/)
})

test('a change that cannot be planned leaves the view that runs', async () => {
  await using folder = new Folder()
  const good = 'CREATE MATERIALIZED VIEW v AS SELECT item, sum(n) AS s FROM sales GROUP BY item;'
  folder.write('a.sql', stream + good)
  await folder.start()
  await folder.rows(`INSERT INTO sales VALUES ('a', 1), ('a', 10); FLUSH`)
  // What it was made of is there no more: made anew it would be empty.
  const { log } = folder.running!
  const [bounds] = await log.bounds([{ topic: 'sales', index: 0 }])
  await log.topics.trim([{ partition: { topic: 'sales', index: 0 }, offset: offset(bounds!.end) }])
  await folder.stop()
  for (const [from, to, place] of [
    ['sum(n)', 'sum(m)', /^a\.sql:2:48: column "m"/],
    ['FROM sales', 'FROM salez', /^a\.sql:2:61: .*"salez" does not exist/],
    ['AS s', 'AS s, nofunction(1)', /^a\.sql:2:\d+: function nofunction/],
  ] as const) {
    folder.write('a.sql', stream + good.replace(from, to))
    await folder.refused(
      place.source.includes('column')
        ? 'sql.unknown-column'
        : place.source.includes('salez')
          ? 'sql.unknown-relation'
          : 'sql.unknown-function',
      place,
    )
  }
  folder.write('a.sql', stream + good)
  await folder.start()
  assert.deepEqual(await folder.rows('SELECT * FROM v'), [['a', 11]])
  await folder.stop()
  // One that can be is made anew.
  folder.write('a.sql', stream + good.replace('sum(n)', 'max(n)'))
  await folder.start()
  assert.deepEqual(await folder.rows('SELECT * FROM v'), [])
})

test('a program that gives what is no definition is told, and may give one twice', async () => {
  const bids = defineTopic('bids', { schema: z.object({ item: z.string() }) })
  const stream = bids.stream().groupBy('item').aggregate({ n: count() })
  const view = defineView('v', stream)
  for (const [options, message] of [
    [{ topics: bids }, /topics = object: it is a list: \[defineTopic\(…\)\]/],
    [{ topics: [bids], views: [view, stream] }, /views\[1\] = Stream: defineView\(…\) makes one/],
    [{ topics: [{ name: 'bids' }] }, /topics\[0\] = Object: defineTopic/],
    [{ topics: [view] }, /topics\[0\] = ViewDefinition: defineTopic/],
    [{ functions: [(x: number) => x] }, /functions\[0\] = .*: defineSqlFunction/],
  ] as const)
    await assert.rejects(testMillrace(options as never), { code: 'config.invalid', message })
  await using millrace = await testMillrace({ topics: [bids, bids], views: [view, view] })
  assert.deepEqual(await millrace.view(view).rows(), [])
})
