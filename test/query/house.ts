/** An engine over the local log in memory, under a simulated world: everything real but the machine. */
import { type Flow, openFlow } from '../../src/flow/runtime/flow.ts'
import { Quarantine } from '../../src/flow/runtime/quarantine.ts'
import type { SqlFunctionDefinition } from '../../src/flow/user-functions.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import type { Disk, World } from '../../src/lib/world.ts'
import { openCatalog } from '../../src/log/catalog.ts'
import { openCommits } from '../../src/log/commits.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { openEngine, type OpenEngine } from '../../src/query/open.ts'

export interface House extends AsyncDisposable {
  readonly world: World
  readonly log: Log
  readonly flow: Flow
  readonly engine: OpenEngine
  readonly faults: [string, Fault][]
  /** Rows of the last statement. */
  sql(text: string, params?: readonly unknown[]): Promise<unknown[][]>
  /** Asks until the rows are these, or a while has passed; gives what it last saw. */
  settled(text: string, rows: unknown): Promise<unknown[][]>
}

/** `beside`: on the log of that one, as another process would be. */
export async function openHouse(
  options: {
    disk?: Disk
    beside?: House
    functions?: readonly SqlFunctionDefinition[]
    /** Stands between the engine and what runs its views. */
    flow?: (flow: Flow) => Flow
  } = {},
): Promise<House> {
  // The world's timers keep no process alive; a test that waits must.
  const alive = setInterval(() => {}, 1_000)
  const world: World = { ...realWorld(), disk: options.disk ?? memoryDisk() }
  const log = options.beside?.log ?? (await openLocalLog({ world, dir: 'data' }))
  const catalog = await openCatalog(log, () => world.clock.now())
  const commits = openCommits(await log.owner())
  const faults: [string, Fault][] = []
  const flow = openFlow({
    log,
    commits,
    clock: world.clock,
    quarantine: new Quarantine(log),
    onFault: (view, fault) => faults.push([view, fault]),
  })
  const engine = await openEngine({
    log,
    catalog,
    commits,
    flow: options.flow?.(flow) ?? flow,
    world,
    functions: options.functions ?? [],
    onFault: (name, fault) => faults.push([name, fault]),
  })
  const sql = async (text: string, params: readonly unknown[] = []): Promise<unknown[][]> => {
    const rows: unknown[][] = []
    for await (const row of (await engine.run(text, { params })).rows) rows.push([...row])
    return rows
  }
  const settled = async (text: string, rows: unknown): Promise<unknown[][]> => {
    const wanted = JSON.stringify(rows)
    let seen: unknown[][] = []
    for (let i = 0; i < 200; i++) {
      seen = await sql(text)
      if (JSON.stringify(seen) === wanted) break
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return seen
  }
  return {
    world,
    log,
    flow,
    engine,
    faults,
    sql,
    settled,
    async [Symbol.asyncDispose]() {
      clearInterval(alive)
      await engine.close()
      await flow.close()
      await commits.close()
      await catalog.close()
      if (options.beside === undefined) await log.close()
    },
  }
}
