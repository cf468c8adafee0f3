/** Records that lie in one buffer, as a request brought them: what many of them take is no object each. */
export interface RecordsInPlace {
  readonly bytes: Buffer
  readonly count: number
  /**
   * Five numbers of each record: where its key begins and ends (−1: it has none), where its value begins and ends, and how
   * many of all `headers` are its own or of one before it.
   */
  readonly places: Int32Array
  /** Four numbers of each: where its name (UTF-8) begins and ends, where its value does. */
  readonly headers: readonly number[]
}
export const placeNumbers = 5
export const headerNumbers = 4

/** Upper bound of what one takes in a batch, as `recordBytes` has it. */
export function inPlaceBytes({ places, headers }: RecordsInPlace, record: number): number {
  const at = record * placeNumbers
  const first = record === 0 ? 0 : places[at - 1]!
  let bytes = 40 + places[at + 1]! - places[at]! + places[at + 3]! - places[at + 2]!
  for (let i = first * headerNumbers; i < places[at + 4]! * headerNumbers; i += 2)
    bytes += 5 + headers[i + 1]! - headers[i]!
  return bytes
}
