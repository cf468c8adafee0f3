/**
 * The blobs that checkpoint stores keep: containers, and small blobs with metadata and ETags, changed only where a condition
 * holds. Each is an entry of the gateway's own topic, so it outlives the process as soon as it is answered.
 */
import { limits } from '../../lib/limits.ts'
import type { World } from '../../lib/world.ts'
import type { KeptMap } from '../../log/kept-map.ts'

export type Metadata = Readonly<Record<string, string>>
export interface Blob {
  /** Without quotes. */
  readonly etag: string
  readonly createdMs: number
  readonly modifiedMs: number
  readonly contentType: string
  readonly metadata: Metadata
  readonly content: Buffer
}
export type Container = Pick<Blob, 'etag' | 'modifiedMs' | 'metadata'>
export interface Conditions {
  /** ETags without quotes, or `*`. */
  readonly ifMatch: string | null
  readonly ifNoneMatch: string | null
  readonly ifModifiedSinceMs: number | null
  readonly ifUnmodifiedSinceMs: number | null
}

/** The service's own words. */
export class BlobRefused extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'BlobRefused'
    this.status = status
    this.code = code
  }
}
export const notFound = {
  container: (): BlobRefused => new BlobRefused(404, 'ContainerNotFound', 'The specified container does not exist.'),
  blob: (): BlobRefused => new BlobRefused(404, 'BlobNotFound', 'The specified blob does not exist.'),
}

const containerForm = /^(?=.{3,63}$)(\$root|[a-z0-9]+(-[a-z0-9]+)*)$/
const blobNameMax = 1_024
const metadataBytesMax = 8 * 1024

export class Blobs {
  readonly #kept: KeptMap
  readonly #world: Pick<World, 'clock' | 'random'>
  #bytes = 0
  #count = 0

  constructor(kept: KeptMap, world: Pick<World, 'clock' | 'random'>) {
    this.#kept = kept
    this.#world = world
    for (const [key, value] of kept.entries()) if (isKept(key)) this.#counted(key.length + value.length, 1)
  }
  #counted(bytes: number, count: number): void {
    this.#bytes += bytes
    this.#count += count
  }

  container(name: string): Container | null {
    return this.#read<Container>(containerKey(name))
  }
  /** Throws BlobRefused. */
  async createContainer(name: string, metadata: Metadata): Promise<Container> {
    if (!containerForm.test(name))
      throw new BlobRefused(400, 'InvalidResourceName', 'The specified resource name contains invalid characters.')
    return this.#kept.turn(containerKey(name), async () => {
      if (this.container(name) !== null)
        throw new BlobRefused(409, 'ContainerAlreadyExists', 'The specified container already exists.')
      const made: Container = { ...this.#stamp(), metadata: checked(metadata) }
      await this.#change([[containerKey(name), JSON.stringify(made)]])
      return made
    })
  }
  /** With its blobs. Throws BlobRefused. */
  async removeContainer(name: string): Promise<void> {
    if (this.container(name) === null) throw notFound.container()
    const keys = [...this.#names(name, '')].map((blob) => blobKey(name, blob))
    await this.#change([...keys, containerKey(name)].map((key) => [key, null] as const))
  }
  containers(): string[] {
    return [...this.#kept.entries()]
      .filter(([key]) => key.startsWith(containerPrefix))
      .map(([key]) => key.slice(containerPrefix.length))
      .toSorted()
  }

  /** Throws BlobRefused. */
  get(container: string, name: string): Blob {
    if (this.container(container) === null) throw notFound.container()
    const found = this.#blob(container, name)
    if (found === null) throw notFound.blob()
    return found
  }
  #blob(container: string, name: string): Blob | null {
    const found = this.#read<Blob & { content: string }>(blobKey(container, name))
    return found === null ? null : { ...found, content: Buffer.from(found.content, 'base64') }
  }
  /** Names with the prefix, in order. */
  list(container: string, prefix: string): string[] {
    if (this.container(container) === null) throw notFound.container()
    return [...this.#names(container, prefix)].toSorted()
  }
  *#names(container: string, prefix: string): Iterable<string> {
    const start = blobKey(container, prefix)
    const cut = blobKey(container, '').length
    for (const [key] of this.#kept.entries()) if (key.startsWith(start)) yield key.slice(cut)
  }
  /** Durable when it resolves. Throws BlobRefused. */
  put(
    container: string,
    name: string,
    given: Pick<Blob, 'content' | 'contentType' | 'metadata'>,
    conditions: Conditions,
  ): Promise<Blob> {
    if (name === '' || name.length > blobNameMax)
      throw new BlobRefused(400, 'InvalidResourceName', 'The name of a blob has 1 to 1,024 characters.')
    if (given.content.length > limits.blobBytes)
      throw new BlobRefused(
        413,
        'RequestBodyTooLarge',
        `Blobs here are for checkpoints: at most ${limits.blobBytes} bytes.`,
      )
    return this.#changed(container, name, (before) => {
      if (before !== null && conditions.ifNoneMatch === '*')
        throw new BlobRefused(409, 'BlobAlreadyExists', 'The specified blob already exists.')
      check(before, conditions)
      const stamp = this.#stamp()
      return { ...given, metadata: checked(given.metadata), ...stamp, createdMs: before?.createdMs ?? stamp.modifiedMs }
    })
  }
  setMetadata(container: string, name: string, metadata: Metadata, conditions: Conditions): Promise<Blob> {
    return this.#changed(container, name, (before) => {
      if (before === null) throw notFound.blob()
      check(before, conditions)
      return { ...before, metadata: checked(metadata), ...this.#stamp() }
    })
  }
  #changed(container: string, name: string, become: (before: Blob | null) => Blob): Promise<Blob> {
    const key = blobKey(container, name)
    return this.#kept.turn(key, async () => {
      if (this.container(container) === null) throw notFound.container()
      const blob = become(this.#blob(container, name))
      await this.#change([[key, JSON.stringify({ ...blob, content: blob.content.toString('base64') })]])
      return blob
    })
  }
  async remove(container: string, name: string, conditions: Conditions): Promise<void> {
    const key = blobKey(container, name)
    await this.#kept.turn(key, async () => {
      check(this.get(container, name), conditions)
      await this.#change([[key, null]])
    })
  }

  /** All blobs whose name is so. */
  async removeWhere(isSo: (name: string) => boolean): Promise<void> {
    const keys: string[] = []
    for (const [key] of this.#kept.entries())
      if (key.startsWith('blob/') && isSo(key.slice(key.indexOf('/', 'blob/'.length) + 1))) keys.push(key)
    if (keys.length > 0) await this.#change(keys.map((key) => [key, null] as const))
  }
  #stamp(): { etag: string; modifiedMs: number } {
    const random = Buffer.from(this.#world.random.bytes(8)).toString('hex').toUpperCase().slice(1)
    return { etag: `0x${random}`, modifiedMs: this.#world.clock.now() }
  }
  #read<T>(key: string): T | null {
    const bytes = this.#kept.get(key)
    return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as T)
  }
  async #change(changes: readonly (readonly [key: string, value: string | null])[]): Promise<void> {
    let bytes = 0
    let count = 0
    for (const [key, value] of changes) {
      const before = this.#kept.get(key)
      if (before !== null) bytes -= key.length + before.length
      if (value !== null) bytes += key.length + value.length
      count += (value === null ? 0 : 1) - (before === null ? 0 : 1)
    }
    const isMore = bytes > 0 || count > 0
    if (isMore && (this.#bytes + bytes > limits.blobsBytes || this.#count + count > limits.blobs))
      throw new BlobRefused(507, 'InsufficientStorage', `Blobs here are for checkpoints: ${limits.blobs} at most.`)
    // Before it is durable: many at once must not pass the limit together.
    this.#counted(bytes, count)
    try {
      await this.#kept.change(
        changes.map(([key, value]) => ({ key, value: value === null ? null : Buffer.from(value) })),
      )
    } catch (error) {
      this.#counted(-bytes, -count)
      throw error
    }
  }
}
const containerPrefix = 'container/'
const containerKey = (name: string): string => `${containerPrefix}${name}`
const blobKey = (container: string, name: string): string => `blob/${container}/${name}`
const isKept = (key: string): boolean => key.startsWith(containerPrefix) || key.startsWith('blob/')

function checked(metadata: Metadata): Metadata {
  let bytes = 0
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z_]\w*$/i.test(name))
      throw new BlobRefused(
        400,
        'InvalidMetadata',
        'The metadata specified is invalid. It has characters that are not permitted.',
      )
    bytes += name.length + value.length
  }
  if (bytes > metadataBytesMax)
    throw new BlobRefused(400, 'MetadataTooLarge', 'The size of the specified metadata exceeds the limit.')
  return metadata
}
const notMet = (): BlobRefused =>
  new BlobRefused(412, 'ConditionNotMet', 'The condition specified using HTTP conditional header(s) is not met.')
/** Throws BlobRefused. */
function check(
  before: Blob | null,
  { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs }: Conditions,
): void {
  if (ifMatch !== null && (before === null || (ifMatch !== '*' && ifMatch !== before.etag))) throw notMet()
  if (before === null) return
  if (ifNoneMatch !== null && (ifNoneMatch === '*' || ifNoneMatch === before.etag)) throw notMet()
  const seconds = Math.floor(before.modifiedMs / 1000) * 1000
  if (ifModifiedSinceMs !== null && seconds <= ifModifiedSinceMs) throw notMet()
  if (ifUnmodifiedSinceMs !== null && seconds > ifUnmodifiedSinceMs) throw notMet()
}
export { check as checkConditions }
