/** meta.json: what wrote this data folder. Written once, before anything else is. */
import { crc32c } from '@node-rs/crc32'
import { Fault } from '../lib/fault.ts'
import type { World } from '../lib/world.ts'
import type { Directories } from './directories.ts'
import { freeName } from './set-aside.ts'
import { readWhole, replaceFile } from './small-file.ts'

export const dataFormat = 1

interface Meta {
  readonly format: number
  readonly instanceId: string
}

/**
 * `mend` is told of one that is missing or damaged, and a new one takes its place: with the format of this program and with
 * another instance id, since nothing else says what it was. Without it that is thrown. Throws Fault store.format-too-new.
 */
export async function openMeta(
  world: World,
  directories: Directories,
  dir: string,
  mend?: (fault: Fault) => void,
): Promise<Meta> {
  const path = `${dir}/meta.json`
  const bytes = readWhole(world.disk, path)
  const found = bytes === null ? whenMissing(world, dir, path) : parseMeta(path, bytes)
  if (found !== null && !(found instanceof Fault)) return found
  if (found !== null) {
    if (mend === undefined) throw found
    mend(found)
    if (bytes !== null) world.disk.rename(path, freeName(world, path, 'damaged'))
  }
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

/** null: nothing is there yet. */
function whenMissing({ disk }: World, dir: string, path: string): Fault | null {
  if (disk.stat(`${dir}/topics`) === null && disk.stat(`${dir}/synced.log`) === null) return null
  return new Fault('store.damaged', { file: path, position: 0, what: 'it is missing, though the folder holds data' })
}
function parseMeta(path: string, bytes: Buffer): Meta | Fault {
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
  return new Fault('store.damaged', { file: path, position: 0, what: 'it is not what was written' })
}
