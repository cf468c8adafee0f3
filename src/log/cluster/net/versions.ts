/** The version of each API that we and a broker both speak. */
import { Fault } from '../../../lib/fault.ts'
import type { Api } from '../../../wire/kafka/codec/shape.ts'

/**
 * The newest that this client uses. Above: topics by id instead of by name (Produce, Fetch, offsets of groups), two-phase
 * commit (InitProducerId); nothing that is needed here.
 */
const newest: Readonly<Record<string, number>> = {
  Produce: 12,
  Fetch: 12,
  OffsetCommit: 9,
  OffsetFetch: 9,
  DeleteTopics: 5,
  InitProducerId: 5,
  ApiVersions: 3,
}
/** The oldest that will do: without these a transaction costs more rounds and can hang (KIP-890). */
const oldest: Readonly<Record<string, number>> = {
  Produce: 9,
  Fetch: 12,
  Metadata: 10,
  ListOffsets: 7,
  FindCoordinator: 4,
  JoinGroup: 5,
  LeaveGroup: 3,
  OffsetFetch: 8,
  TxnOffsetCommit: 5,
  EndTxn: 5,
}

export class Versions {
  readonly #theirs: ReadonlyMap<number, { minVersion: number; maxVersion: number }>
  readonly #features: ReadonlyMap<string, number>

  constructor(
    apis: readonly { apiKey: number; minVersion: number; maxVersion: number }[],
    features: readonly { name: string; maxVersionLevel: number }[],
  ) {
    this.#theirs = new Map(apis.map((one) => [one.apiKey, one]))
    this.#features = new Map(features.map(({ name, maxVersionLevel }) => [name, maxVersionLevel]))
  }
  /** Throws Fault cluster.too-old. */
  of(api: Api): number {
    const theirs = this.#theirs.get(api.key)
    if (theirs === undefined) throw new Fault('cluster.too-old', { what: `${api.name} is not offered` })
    const version = Math.min(newest[api.name] ?? Infinity, api.versions[1], theirs.maxVersion)
    const least = Math.max(oldest[api.name] ?? 0, api.versions[0], theirs.minVersion)
    if (version < least)
      throw new Fault('cluster.too-old', {
        what: `${api.name} is offered in versions ${theirs.minVersion} to ${theirs.maxVersion}, needed is ${least}`,
      })
    return version
  }
  /** Level of a feature that is in force in the cluster; 0 = it is not. */
  feature(name: string): number {
    return this.#features.get(name) ?? 0
  }
}
