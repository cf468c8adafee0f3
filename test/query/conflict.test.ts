/** Views with a PRIMARY KEY that is not the key of their query: ON CONFLICT DO NOTHING, ERROR and DEDUPLICATE. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { newest, readAll, textOf } from '../flow/house.ts'
import { type House, openHouse } from './house.ts'

type Policy = 'NOTHING' | 'DEDUPLICATE' | 'ERROR'
const source = 'CREATE TABLE t (id int PRIMARY KEY, k text, n int)'
/** Key of the query: id; of the view: k. */
const byTable = (policy: Policy, more = ''): string =>
  `CREATE MATERIALIZED VIEW v (id, k, n, PRIMARY KEY (k)) WITH (parallelism = 1${more}) AS SELECT id, k, n FROM t ON CONFLICT DO ${policy}`

/** What a loop over the events makes of them: rows of a key in the order in which they came to it. */
class Oracle {
  readonly rows = new Map<number, { k: string; n: number }>()
  readonly keys = new Map<string, number[]>()
  readonly policy: Policy

  constructor(policy: Policy) {
    this.policy = policy
  }
  private of(k: string): number[] {
    const ids = this.keys.get(k) ?? []
    this.keys.set(k, ids)
    return ids
  }
  remove(id: number): void {
    const row = this.rows.get(id)
    if (row === undefined) return
    const ids = this.of(row.k)
    ids.splice(ids.indexOf(id), 1)
    this.rows.delete(id)
  }
  put(id: number, k: string, n: number): void {
    const before = this.rows.get(id)
    if (before?.k === k && before.n === n) return
    const keepsPlace = before?.k === k && this.policy === 'NOTHING'
    if (!keepsPlace) {
      this.remove(id)
      this.of(k).push(id)
    }
    this.rows.set(id, { k, n })
  }
  shown(): unknown[][] {
    return [...this.keys]
      .flatMap(([k, ids]) => {
        const id = this.policy === 'NOTHING' ? ids[0] : ids.at(-1)
        return id === undefined ? [] : [[id, k, this.rows.get(id)!.n]]
      })
      .toSorted(([, a], [, b]) => (String(a) < String(b) ? -1 : 1))
  }
}
const held = (house: House): Promise<unknown[][]> => house.sql('SELECT id, k, n FROM v ORDER BY k')

for (const policy of ['NOTHING', 'DEDUPLICATE'] as const)
  describe(`DO ${policy}`, () => {
    test('random changes, a step each, over restarts: as a loop over them', async () => {
      const random = new SeededRandom(policy.length, 'conflict')
      for (let round = 0; round < 6; round++) {
        const disk = memoryDisk()
        const oracle = new Oracle(policy)
        let house = await openHouse({ disk })
        await house.sql(`${source}; ${byTable(policy)}`)
        assert.deepEqual(house.engine.relation('v')!.key, ['k'])
        for (let step = 0; step < 25; step++) {
          const id = random.between(1, 6)
          if (random.chance(0.3)) {
            oracle.remove(id)
            await house.sql(`DELETE FROM t WHERE id = ${id}; FLUSH`)
          } else {
            const [k, n] = [random.pick(['a', 'b', 'c']), random.between(0, 4)]
            oracle.put(id, k, n)
            await house.sql(`INSERT INTO t VALUES (${id}, '${k}', ${n}); FLUSH`)
          }
          assert.deepEqual(await held(house), oracle.shown(), `round ${round}, step ${step}`)
          if (random.chance(0.15)) {
            await house[Symbol.asyncDispose]()
            house = await openHouse({ disk })
          }
        }
        const topic = [...newest(await readAll(house.log, 'v')).values()] as { id: number; k: string; n: number }[]
        assert.deepEqual(
          topic.map(({ id, k, n }) => [id, k, n]).toSorted(([, a], [, b]) => (String(a) < String(b) ? -1 : 1)),
          oracle.shown(),
        )
        await house[Symbol.asyncDispose]()
      }
    })
    test('over a stream: one row of each key, in parts too', async () => {
      await using house = await openHouse()
      for (const [name, parts] of [
        ['v', 1],
        ['w', 3],
      ] as const)
        await house.sql(
          `${name === 'v' ? 'CREATE STREAM s (id int, k text);' : ''} CREATE MATERIALIZED VIEW ${name} (id, k, PRIMARY KEY (k))
           WITH (parallelism = ${parts}) AS SELECT id, k FROM s ON CONFLICT DO ${policy}`,
        )
      for (const row of [`(1, 'a')`, `(2, 'a'), (3, 'b')`, `(4, 'b'), (5, 'c'), (6, 'a')`])
        await house.sql(`INSERT INTO s VALUES ${row}; FLUSH`)
      const expected =
        policy === 'NOTHING'
          ? [
              [1, 'a'],
              [3, 'b'],
              [5, 'c'],
            ]
          : [
              [6, 'a'],
              [4, 'b'],
              [5, 'c'],
            ]
      for (const name of ['v', 'w'])
        assert.deepEqual(await house.sql(`SELECT id, k FROM ${name} ORDER BY k`), expected, name)
      const { nodes } = await house.engine.graph('v')
      assert.equal(nodes.find(({ kind }) => kind === 'conflict')?.stateRows, 3)
    })
  })

describe('DO ERROR', () => {
  const events = `INSERT INTO t VALUES (1, 'a', 1); FLUSH; INSERT INTO t VALUES (2, 'b', 1); FLUSH; INSERT INTO t VALUES (3, 'a', 2); FLUSH`

  test('a second row of a key stops the view, which says which key', async () => {
    await using house = await openHouse()
    await house.sql(`${source}; ${byTable('ERROR')}; ${events}`)
    assert.deepEqual(await held(house), [
      [1, 'a', 1],
      [2, 'b', 1],
    ])
    const { status, error } = house.engine.relation('v')!
    assert.equal(status, 'failed')
    assert.match(error!.message, /stopped at t:0:2: another row has the key a already/)
  })
  test('or is kept in the quarantine as it came; what then goes was not there', async () => {
    await using house = await openHouse()
    await house.sql(`${source}; ${byTable('ERROR', `, on_error = 'quarantine'`)}; ${events}`)
    await house.sql(`DELETE FROM t WHERE id = 3; FLUSH; INSERT INTO t VALUES (2, 'b', 7); FLUSH`)
    assert.deepEqual(await held(house), [
      [1, 'a', 1],
      [2, 'b', 7],
    ])
    assert.deepEqual(
      (await readAll(house.log, 't.quarantine')).map(({ value }) => JSON.parse(textOf(value)!) as unknown),
      [{ id: 3, k: 'a', n: 2 }],
    )
  })
  test('a key that goes from one row to another within a step is no conflict', async () => {
    await using house = await openHouse()
    await house.sql(`${source}; ${byTable('ERROR')}; INSERT INTO t VALUES (1, 'a', 1); FLUSH`)
    await house.sql(`INSERT INTO t VALUES (1, 'b', 1), (2, 'a', 1); FLUSH; DELETE FROM t WHERE id = 2; FLUSH`)
    await house.sql(`INSERT INTO t VALUES (5, 'a', 5); FLUSH`)
    assert.deepEqual(await held(house), [
      [5, 'a', 5],
      [1, 'b', 1],
    ])
    assert.equal(house.engine.relation('v')!.status, 'running')
  })
})

test('a PRIMARY KEY that the rows of the query have needs no ON CONFLICT; another one does', async () => {
  await using house = await openHouse()
  await house.sql(source)
  await house.sql('CREATE MATERIALIZED VIEW same (k, c, PRIMARY KEY (k)) AS SELECT k, count(*) FROM t GROUP BY k')
  await house.sql('CREATE MATERIALIZED VIEW wider (PRIMARY KEY (k, id)) AS SELECT id, k FROM t')
  assert.deepEqual(house.engine.relation('wider')!.key, ['k', 'id'])
  const refused = async (sql: string, message: RegExp): Promise<void> =>
    assert.rejects(
      house.sql(sql),
      (error: unknown) => error instanceof SqlFault && message.test(`${error.message} ${error.hint}`),
      sql,
    )
  await refused(
    'CREATE MATERIALIZED VIEW x (PRIMARY KEY (k)) AS SELECT id, k FROM t',
    /same k: its key is \(id\).*ON CONFLICT DO NOTHING/,
  )
  await refused('CREATE MATERIALIZED VIEW x (PRIMARY KEY (k)) AS SELECT k FROM t', /it has no key/)
  await refused('CREATE MATERIALIZED VIEW x AS SELECT id, k FROM t ON CONFLICT DO NOTHING', /needs a PRIMARY KEY/)
  await refused('CREATE MATERIALIZED VIEW x (PRIMARY KEY (z)) AS SELECT id, k FROM t', /"z" is not among/)
  await refused(
    'CREATE MATERIALIZED VIEW x (PRIMARY KEY (k)) AS SELECT id, k FROM t ON CONFLICT DO UPDATE',
    /NOTHING, ERROR or DEDUPLICATE/,
  )
  await refused('CREATE MATERIALIZED VIEW x (PRIMARY KEY (k), id) AS SELECT id, k FROM t', /behind the columns/)
  await refused(`INSERT INTO t VALUES (1, 'a', 1) ON CONFLICT DO NOTHING`, /ON CONFLICT/)
})
