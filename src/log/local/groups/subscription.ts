/** The consumer protocol's subscription (ConsumerProtocolSubscription): only the topics are of interest here. */
import { ByteReader } from '../../../lib/bytes.ts'
import { Fault } from '../../../lib/fault.ts'

/** Null when the bytes are of another protocol. */
export function topicsOf(metadata: Uint8Array): string[] | null {
  const input = new ByteReader(metadata)
  try {
    if (input.int16() < 0) return null
    const count = input.int32()
    const topics: string[] = []
    for (let i = 0; i < count; i++) topics.push(input.utf8(input.int16()))
    return topics
  } catch (error) {
    if (error instanceof Fault) return null
    throw error
  }
}
