/** One embedded Millrace with the relations of the queries, and what is done with it. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { environmentSettings, protocols, resolveConfig } from '../../src/node/config.ts'
import { type Running, type StartOptions, startMillrace } from '../../src/node/millrace.ts'
import { closingEvent, definitions, sideRows } from './queries.ts'

const batchRecords = 1_000

/** `data`: a folder, or `:memory:`. When it is new, relations are made and the side table is filled; events are still to come. */
export async function openNexmark(
  data: string,
  flow: StartOptions['flow'] = {},
  { isNew = true, workers = 'auto' }: { readonly isNew?: boolean; readonly workers?: string } = {},
): Promise<Running> {
  const { config } = resolveConfig(
    { data, workers, listen: protocols.map((protocol) => `${protocol}=off`) },
    environmentSettings({}),
    {},
  )
  const running = await startMillrace({
    config,
    world: realWorld(),
    logger: silent,
    definitions: { sql: [], definitions: [] },
    flow,
  })
  if (!isNew) return running
  try {
    await running.engine.run(definitions)
    for (let from = 0; from < sideRows; from += batchRecords) {
      const values = Array.from({ length: batchRecords }, (_, i) => `(${from + i}, '${from + i}')`)
      await running.engine.run(`INSERT INTO side_input VALUES ${values.join(', ')}`)
    }
    return running
  } catch (error) {
    await running.close()
    throw error
  }
}
/** Appends the lines as record batches of 1,000; `closes`: and an event that closes every window. Returns how many. */
export async function feedEvents(
  running: Running,
  lines: AsyncIterable<string> | Iterable<string>,
  { closes }: { readonly closes: boolean },
): Promise<number> {
  const writer = running.log.writer()
  let records: { key: null; value: Buffer; timeMs: number }[] = []
  let count = 0
  const send = async (): Promise<void> => {
    count += records.length
    if (records.length > 0)
      await writer.append([{ partition: { topic: 'events', index: 0 }, batch: encodeBatch(records) }])
    records = []
  }
  const add = async (line: string): Promise<void> => {
    records.push({ key: null, value: Buffer.from(line), timeMs: Date.now() })
    if (records.length === batchRecords) await send()
  }
  for await (const line of lines) if (line !== '') await add(line)
  if (closes) await add(closingEvent)
  await send()
  return count
}
/** Read when they are asked for: an interface of `readline` loses what it has read before. */
export async function* linesOf(file: string): AsyncGenerator<string> {
  yield* createInterface({ input: createReadStream(file) })
}
