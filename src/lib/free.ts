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
