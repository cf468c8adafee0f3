/** Bytes of requests that are taken in and not answered, over all connections. */
import { limits } from '../../../lib/limits.ts'
import { RpcError } from '../errors.ts'

export class Intake {
  #held = 0
  /** Throws RpcError RESOURCE_EXHAUSTED; they count all the same, until they are released. */
  take(bytes: number): void {
    this.#held += bytes
    if (this.#held > limits.pubsubBytesInFlight)
      throw new RpcError('RESOURCE_EXHAUSTED', 'Too many bytes of requests are under way. Try again in a moment.')
  }
  release(bytes: number): void {
    this.#held -= bytes
  }
}
