/**
 * Gives the memory of a buffer back now, not when the collector comes to it (`buffer-pool.ts` says what that costs).
 * Nothing may look at it any more: all views of the same memory are empty afterwards.
 */
export function free(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer)) return
  // Node cuts small buffers out of one of this size, which others lie in too.
  if (bytes.length === buffer.byteLength || buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
/** What is cut out of a buffer of at least this size can be freed. */
export const freeableBytesMin = Buffer.poolSize + 1

type Numbers = Float64Array | Int32Array | Uint8Array
/**
 * An array of numbers in the place of one that it was made from, and is longer than: the memory of that goes back at once.
 * State doubles its arrays as it grows; left to the collector, each would count as much as what is in use.
 */
export function instead<A extends Numbers>(longer: A, of: Numbers): A {
  longer.set(of)
  drop(of)
  return longer
}
/** The same of an array that nobody looks at any more. A part of an array is not all that somebody may look at. */
export function drop({ buffer, byteLength }: Numbers): void {
  if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffer.transfer(0)
}
