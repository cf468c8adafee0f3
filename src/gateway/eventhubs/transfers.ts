/** Transfers that we send (part 2.7.5): the one frame that is written by hand, because every event that leaves is one. */
import type { ByteWriter } from '../../lib/bytes.ts'
import { beginFrame, frameHeaderBytes, frameType } from '../../wire/amqp/frames.ts'

export interface Delivery {
  readonly channel: number
  readonly handle: number
  readonly deliveryId: number
  readonly isSettled: boolean
}
/** From the descriptor to the last field. */
const performativeBytes = 30
const moreAt = frameHeaderBytes + 24
export const transferOverheadBytes = frameHeaderBytes + performativeBytes

/** The frame up to its payload, which comes next; `endFrame` ends it. Gives where it begins. */
export function beginTransfer(
  out: ByteWriter,
  { channel, handle, deliveryId, isSettled }: Delivery,
  more: boolean,
): number {
  out.reserve(transferOverheadBytes)
  const start = beginFrame(out, frameType.amqp, channel)
  const { buffer } = out
  let { at } = out
  buffer[at++] = 0
  buffer[at++] = 0x53
  buffer[at++] = 0x14
  buffer[at++] = 0xc0
  buffer[at++] = performativeBytes - 5
  buffer[at++] = 11
  buffer[at++] = 0x70
  at = buffer.writeUInt32BE(handle, at)
  buffer[at++] = 0x70
  at = buffer.writeUInt32BE(deliveryId, at)
  // The delivery's tag: its number again.
  buffer[at++] = 0xa0
  buffer[at++] = 4
  at = buffer.writeUInt32BE(deliveryId, at)
  buffer[at++] = 0x43
  buffer[at++] = isSettled ? 0x41 : 0x42
  buffer[at++] = more ? 0x41 : 0x42
  // All fields to the last: Microsoft's Python client looks for them by place.
  buffer.fill(0x40, at, at + 5)
  out.at = at + 5
  return start
}
/** Whether more of the delivery follows, said anew. */
export function setMore(out: ByteWriter, start: number, more: boolean): void {
  out.buffer[start + moreAt] = more ? 0x41 : 0x42
}
