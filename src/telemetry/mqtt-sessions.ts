/** Sessions of MQTT as they are shown, and ended, from outside: the gateway says it when it is asked. */
export interface MqttSession {
  /** The client's identifier. */
  readonly client: string
  /** Whose it is. */
  readonly user: string
  readonly version: '3.1' | '3.1.1' | '5'
  /** Since when its client is there, or is not, ISO 8601; one of them is null. */
  readonly connectedAt: string | null
  readonly leftAt: string | null
  /** How long it is kept without its client; null: until somebody ends it. */
  readonly expirySeconds: number | null
  /** Of one whose client is away; null: it does not end by itself. */
  readonly expiresAt: string | null
  readonly subscriptions: number
  /** Messages with QoS 1 and 2 that are known to wait for it. */
  readonly waiting: number
  /** There may be others behind them in the log. */
  readonly moreWaiting: boolean
  /** Sent, and not acknowledged to the end. */
  readonly inFlight: number
  readonly will: {
    readonly topic: string
    readonly qos: 0 | 1 | 2
    readonly retain: boolean
    readonly delaySeconds: number
    /** null: its client is there. */
    readonly dueAt: string | null
  } | null
}
export interface MqttSessionDetail extends MqttSession {
  /** As the client said them, `$share/…` and all. */
  readonly filters: readonly { readonly filter: string; readonly qos: 0 | 1 | 2 }[]
}
export interface MqttSessionPage {
  /** By client identifier. */
  readonly sessions: readonly MqttSession[]
  /** To go on after; null: there are no more. */
  readonly next: string | null
}
export interface MqttSessionsAsked {
  readonly limit: number
  readonly after: string | null
  /** null: both. */
  readonly isConnected: boolean | null
}
export interface MqttSessions {
  page(asked: MqttSessionsAsked): MqttSessionPage
  find(client: string): MqttSessionDetail | null
  /** Nothing is left of it, durably, when it resolves; false: there is none. */
  end(client: string): Promise<boolean>
}
