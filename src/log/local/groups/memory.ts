/**
 * What groups hold in memory, by estimate: the bytes of what clients sent, and a flat amount for each object that keeps them.
 * A request that would take more than there is room for is refused; what follows from accepted ones (assignments, what is
 * read back at the start) is counted and never refused.
 */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'

export interface GroupBounds {
  readonly groupBytes: number
  readonly groupsBytes: number
  readonly positionsBytes: number
}
export const groupBounds: GroupBounds = {
  groupBytes: limits.groupBytes,
  groupsBytes: limits.groupsBytes,
  positionsBytes: limits.groupPositionsBytes,
}

/** Maps, timers and the like. */
export const bytesPerGroup = 2_000
export const bytesPerMember = 1_000
export const bytesPerName = 100
export const bytesPerPartition = 50
const bytesPerCharacter = 2
export const bytesOfText = (text: string | null): number => (text === null ? 0 : bytesPerCharacter * text.length)
export function bytesOfTexts(texts: readonly string[]): number {
  let sum = 0
  for (const text of texts) sum += bytesPerName + bytesOfText(text)
  return sum
}
interface Protocols {
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[]
}
export function bytesOfProtocols({ protocols }: Protocols): number {
  let sum = 0
  for (const { name, metadata } of protocols) sum += bytesPerName + bytesOfText(name) + metadata.length
  return sum
}
/** What is kept must not keep the request or the record that it is a view of. */
export const ownBytes = (bytes: Uint8Array): Uint8Array => Buffer.from(new Uint8Array(bytes).buffer)
export const ownProtocols = ({ protocols }: Protocols): Protocols['protocols'] =>
  protocols.map(({ name, metadata }) => ({ name, metadata: ownBytes(metadata) }))

export class GroupMemory {
  readonly #bounds: GroupBounds
  /** By the group itself: while one changes its protocol there are two of a name. */
  readonly #held = new Map<object, number>()
  #total = 0

  constructor(bounds: GroupBounds = groupBounds) {
    this.#bounds = bounds
  }
  count(group: object, bytes: number): void {
    this.#total += bytes - (this.#held.get(group) ?? 0)
    this.#held.set(group, bytes)
  }
  forget(group: object): void {
    this.#total -= this.#held.get(group) ?? 0
    this.#held.delete(group)
  }
  /** Why the group cannot have so much more. `group` null: there is none of the name yet. */
  refuses(name: string, group: object | null, more: number): Fault | null {
    if (more <= 0) return null
    const { groupBytes, groupsBytes } = this.#bounds
    const held = group === null ? 0 : (this.#held.get(group) ?? 0)
    if (held + more > groupBytes)
      return new Fault('log.groups-full', { group: name, what: 'one group may', bytesMax: groupBytes })
    if (this.#total + more > groupsBytes)
      return new Fault('log.groups-full', { group: name, what: 'all groups together may', bytesMax: groupsBytes })
    return null
  }
}
