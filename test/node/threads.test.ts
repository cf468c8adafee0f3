/** Views of a project on threads: their functions are those of its files, loaded there once more. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Fault } from '../../src/lib/fault.ts'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { type Project, loadProject } from '../../src/node/project.ts'

const dir = join(import.meta.dirname, '../fixtures/thread-project')
async function started(workers: string, mark: (project: Project) => Project = (project) => project): Promise<Running> {
  const off = ['http=off', 'kafka=off', 'peer=off']
  const { config } = resolveConfig({ data: ':memory:', listen: off, workers }, {}, {})
  const project = await loadProject(dir)
  const definitions = { ...project, project: mark(project) }
  return startMillrace({ config, world: realWorld(), logger: silent, definitions })
}
async function rows({ engine }: Running, text: string): Promise<unknown[][]> {
  const found: unknown[][] = []
  for await (const row of (await engine.run(text)).rows) found.push([...row])
  return found
}
async function sent(running: Running): Promise<void> {
  await rows(running, 'INSERT INTO events VALUES (1), (2); INSERT INTO numbers VALUES (3); FLUSH')
}

for (const [workers, isThere] of [
  ['1', (at: number) => at > 0],
  ['0', (at: number) => at === 0],
] as const)
  test(`with ${workers} workers functions of a project run ${workers === '0' ? 'on the thread of the log' : 'on another thread'}`, async () => {
    const running = await started(workers)
    try {
      await sent(running)
      for (const [view, count] of [
        ['placed', 2],
        ['processed', 1],
      ] as const) {
        const found = await rows(running, `SELECT at FROM ${view}`)
        assert.equal(found.length, count)
        assert.ok(
          found.every(([at]) => isThere(at as number)),
          `${view}: ${JSON.stringify(found)}`,
        )
      }
      assert.deepEqual(await rows(running, 'SELECT n FROM plain'), [[2]])
      for (const view of ['placed', 'processed', 'plain']) {
        assert.deepEqual(await running.engine.doctor(view), [], view)
        assert.match((await rows(running, `EXPLAIN ANALYZE ${view}`)).join('\n'), /running; rows in [12], out [123]/)
      }
    } finally {
      await running.close()
    }
  })

test('functions of a project run on the threads that have parts of the step', async () => {
  const running = await started('3')
  try {
    const keys = Array.from({ length: 40 }, (_, n) => n)
    await rows(running, `INSERT INTO numbers VALUES ${keys.map((n) => `(${n})`).join(', ')}; FLUSH`)
    const found = await rows(running, 'SELECT n, at FROM in_parts')
    assert.deepEqual(
      found.map(([n]) => Number(n)).sort((a, b) => a - b),
      keys,
    )
    const threads = new Set(found.map(([, at]) => at))
    assert.equal(threads.size, 3)
    assert.ok(!threads.has(0), 'none is that of the log')
  } finally {
    await running.close()
  }
})

test('a thread does not run the functions of files that have changed since the start', async () => {
  await assert.rejects(
    started('1', (project) => ({ ...project, digest: 'another' })),
    (error: Fault) => error.code === 'project.changed',
  )
})
