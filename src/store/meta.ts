/** meta.json: what wrote this data folder. Written once, before anything else is. */
import { crc32c } from '@node-rs/crc32'
import { Fault } from '../lib/fault.ts'
import type { World } from '../lib/world.ts'
import type { Directories } from './directories.ts'
import { readWhole, replaceFile } from './small-file.ts'

export const dataFormat = 1

interface Meta {
  readonly format: number
  readonly instanceId: string
}

export async function openMeta(world: World, directories: Directories, dir: string): Promise<Meta> {
  const path = `${dir}/meta.json`
  const bytes = readWhole(world.disk, path)
  if (bytes !== null) return parseMeta(path, bytes)
  if (world.disk.stat(`${dir}/topics`) !== null || world.disk.stat(`${dir}/synced.log`) !== null)
    throw new Fault('store.damaged', { file: path, position: 0, what: 'it is missing, though the folder holds data' })
  const meta: Meta = { format: dataFormat, instanceId: world.random.uuid() }
  await replaceFile(world.disk, directories, path, Buffer.from(metaText(meta)))
  return meta
}

const metaText = (meta: Meta): string =>
  `${JSON.stringify({ format: meta.format, instanceId: meta.instanceId, crc32c: checksum(meta) })}\n`
const checksum = (meta: Meta): string =>
  crc32c(Buffer.from(`${meta.format} ${meta.instanceId}`))
    .toString(16)
    .padStart(8, '0')

function parseMeta(path: string, bytes: Buffer): Meta {
  let found: { format?: unknown; instanceId?: unknown } | null
  try {
    found = JSON.parse(bytes.toString('utf8')) as typeof found
  } catch {
    found = null
  }
  const { format, instanceId } = found ?? {}
  if (typeof format === 'number' && Number.isSafeInteger(format) && format > dataFormat)
    throw new Fault('store.format-too-new', { found: format, known: dataFormat })
  if (typeof format === 'number' && typeof instanceId === 'string') {
    const meta = { format, instanceId }
    if (bytes.toString('utf8') === metaText(meta)) return meta
  }
  throw new Fault('store.damaged', { file: path, position: 0, what: 'it is not what was written' })
}
