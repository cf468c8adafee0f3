/** How the gateway shows itself, and which of the service's limits it keeps to. */
export interface KinesisSettings {
  /** Of names of resources (ARNs). */
  readonly region: string
  readonly account: string
  /** Open shards of all streams together. */
  readonly shardsMax: number
  /** For so long a stream is CREATING, UPDATING or DELETING. */
  readonly changeMs: number
  /** Whether a shard takes and gives no more than the service's: then ProvisionedThroughputExceededException. */
  readonly limits: boolean
  /** `2020`: limits and answers of the service as it was then, for programs that compare them word by word. */
  readonly model: 'current' | '2020'
}
export const kinesisDefaults: KinesisSettings = {
  region: 'us-east-1',
  account: '000000000000',
  shardsMax: 10_000,
  changeMs: 0,
  limits: false,
  model: 'current',
}
