/** Alerts as the layers above see them. Rules are catalogue entries; what fired is a record in `_millrace_alerts`. */
export interface Alerts {
  list(): readonly AlertInfo[]
  /** Newest first. */
  fired(options?: { readonly alert?: string; readonly limit?: number }): Promise<readonly FiredAlert[]>
  /** What fires from now on. */
  watch(signal: AbortSignal): AsyncIterable<FiredAlert>
}
export interface AlertInfo {
  readonly name: string
  readonly sql: string
  readonly destinations: readonly string[]
  readonly fired: number
  readonly suppressed: number
  readonly deliveryFailures: number
  readonly status: 'running' | 'paused' | 'failed'
}
export interface FiredAlert {
  readonly id: string
  readonly alert: string
  readonly key: string
  readonly row: { readonly [column: string]: unknown }
  readonly message: string
  /** ISO 8601. */
  readonly firedAt: string
  /** Input records it came from: topic:partition:first..last. */
  readonly origin: readonly string[]
  readonly deliveries: readonly {
    readonly destination: string
    readonly status: 'pending' | 'delivered' | 'dead'
    readonly attempts: number
    readonly error: string | null
  }[]
}
