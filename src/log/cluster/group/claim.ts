/**
 * The right to commit for partitions, as Kafka checks it: member and generation, never partitions. So a claim carries the
 * generation in which it was given. It goes on into the next one only if its member heard, in that very generation, that
 * its partitions are still its own; nobody else can have committed for them then. Everything else loses it.
 *
 * Plain fields, because a claim travels to workers.
 */
import type { Claim, Partition } from '../../log.ts'

export interface ClusterClaim {
  readonly group: string
  readonly memberId: string
  generation: number
  readonly partitions: readonly Partition[]
  lost: boolean
}
export const clusterClaim = (claim: Claim): ClusterClaim => claim as unknown as ClusterClaim
export const asClaim = (claim: ClusterClaim): Claim => claim as unknown as Claim

export const placeOf = ({ topic, index }: Partition): string => `${topic}/${index}`
export function covers(claim: ClusterClaim, partitions: readonly Partition[]): boolean {
  const held = new Set(claim.partitions.map(placeOf))
  return partitions.every((one) => held.has(placeOf(one)))
}
/** A generation has come in which the member may go on with `mine`. */
export function renew(claim: ClusterClaim, generation: number, mine: readonly Partition[]): void {
  const places = new Set(mine.map(placeOf))
  if (generation === claim.generation + 1 && claim.partitions.every((one) => places.has(placeOf(one))))
    claim.generation = generation
  else claim.lost = true
}
