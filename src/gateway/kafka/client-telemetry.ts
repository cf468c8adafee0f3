/**
 * What clients measure of themselves (KIP-714): which of them are asked for what, and how often they may push. State of a
 * client lives as long as the connection that it came by, and is forgotten after three intervals of silence.
 */
import { crc32c } from '@node-rs/crc32'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Clock, Random } from '../../lib/world.ts'
import type { ResourceConfigs } from '../../log/broker.ts'
import {
  type ClientFacts,
  type Subscription,
  asks,
  defaultPushMs,
  subscriptionOf,
} from '../../log/client-subscription.ts'
import { codecName, decompress } from '../../log/compression.ts'
import type { ClientMetrics } from '../../telemetry/client-metrics.ts'
import { nullUuid } from '../../wire/kafka/codec/shape.ts'
import { metricPoints } from '../../wire/otlp/metrics.ts'

export interface TelemetryCaller extends Omit<ClientFacts, 'client_instance_id'> {
  /** Aborted when the connection closes. */
  readonly signal: AbortSignal
}
export interface Push {
  readonly clientInstanceId: string
  readonly subscriptionId: number
  readonly terminating: boolean
  readonly compressionType: number
  readonly metrics: Uint8Array
}
export interface Asked {
  readonly instanceId: string
  readonly subscriptionId: number
  readonly metrics: readonly string[]
  readonly intervalMs: number
}
interface Instance extends Asked {
  /** Of the subscriptions that these are. */
  readonly version: number
  askedMs: number
  pushedMs: number
  isTerminating: boolean
  /** Told to ask again: it may at once. */
  mayAsk: boolean
  usedMs: number
}
const everything = '*'
/** zstd, lz4, gzip, snappy: the first that a client has. */
export const telemetryCodecs = [4, 3, 1, 2] as const
const expiryMsMin = 60_000
const expiryIntervals = 3
/** An id that asks to be given one, and the other that Kafka keeps for itself. */
const reserved = new Set([nullUuid, '00000000-0000-0000-0000-000000000001'])

export class ClientTelemetry {
  readonly #clock: Clock
  readonly #random: Random
  readonly #configs: ResourceConfigs
  readonly #sink: ClientMetrics | null
  readonly #log: Logger
  /** The longest unused first. */
  readonly #instances = new Map<string, Instance>()
  #subscriptions: readonly Subscription[] | null = null
  #version = 0

  constructor(options: {
    clock: Clock
    random: Random
    configs: ResourceConfigs
    sink: ClientMetrics | null
    log: Logger
  }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#configs = options.configs
    this.#sink = options.sink
    this.#log = options.log
    this.#configs.onChange(() => {
      this.#subscriptions = null
      this.#version++
    })
  }

  /** Throws Fault kafka.telemetry-too-early. */
  ask(instanceId: string, caller: TelemetryCaller): Asked {
    const instance = this.#instance(instanceId === nullUuid ? this.#random.uuid() : instanceId, caller)
    const nowMs = this.#clock.monotonic()
    const sinceMs = nowMs - Math.max(instance.askedMs, instance.pushedMs)
    if (sinceMs < instance.intervalMs && !instance.mayAsk) throw tooEarly(instance, sinceMs)
    instance.askedMs = nowMs
    instance.mayAsk = false
    return instance
  }
  /** Throws Fault. */
  push(push: Push, caller: TelemetryCaller): void {
    if (reserved.has(push.clientInstanceId))
      throw new Fault('kafka.telemetry-refused', { why: 'it has no client instance id' })
    const instance = this.#instance(push.clientInstanceId, caller)
    try {
      this.#check(push, instance)
    } finally {
      instance.isTerminating = push.terminating
    }
    if (push.metrics.length > 0) this.#take(push, instance, caller)
  }
  #check({ terminating, subscriptionId, compressionType, metrics }: Push, instance: Instance): void {
    if (instance.isTerminating)
      throw new Fault('kafka.telemetry-refused', { why: 'the push before it was said to be the last' })
    const nowMs = this.#clock.monotonic()
    const sinceMs = nowMs - instance.pushedMs
    // Right after it asked, a client pushes after half an interval or more.
    const mayPush = instance.askedMs > instance.pushedMs || sinceMs >= instance.intervalMs
    if (!mayPush && !terminating) throw tooEarly(instance, sinceMs)
    if (mayPush) instance.pushedMs = nowMs
    if (subscriptionId !== instance.subscriptionId) {
      instance.mayAsk = true
      throw new Fault('kafka.telemetry-unknown-subscription', { id: subscriptionId })
    }
    if (compressionType !== 0 && !telemetryCodecs.some((codec) => codec === compressionType)) {
      instance.mayAsk = true
      throw new Fault('kafka.telemetry-codec', { codec: String(compressionType) })
    }
    const bytesMax = limits.telemetryBytes
    if (metrics.length > bytesMax) throw new Fault('kafka.telemetry-too-large', { bytes: metrics.length, bytesMax })
  }
  #take(push: Push, { instanceId, intervalMs }: Instance, caller: TelemetryCaller): void {
    try {
      const bytes = decompress(codecName(push.compressionType), push.metrics, limits.telemetryUnpackedBytes)
      const client = {
        instanceId,
        clientId: caller.client_id,
        software: caller.client_software_name,
        version: caller.client_software_version,
        intervalMs,
      }
      // Read to its end before any of it counts.
      this.#sink?.pushed(client, [...metricPoints(bytes)])
    } catch (error) {
      const fault = asFault(error)
      if (fault.code === 'internal') this.#log.error('kafka: pushed metrics could not be taken', { error })
      throw new Fault('kafka.telemetry-unreadable', { why: fault.message })
    }
  }

  #instance(id: string, caller: TelemetryCaller): Instance {
    this.#forgetUnused()
    const nowMs = this.#clock.monotonic()
    let instance = this.#instances.get(id)
    if (instance === undefined || instance.version !== this.#version) {
      if (instance === undefined)
        caller.signal.addEventListener('abort', () => this.#instances.delete(id), { once: true })
      instance = this.#make(id, caller)
    }
    instance.usedMs = nowMs
    this.#instances.delete(id)
    this.#instances.set(id, instance)
    return instance
  }
  #make(instanceId: string, caller: TelemetryCaller): Instance {
    this.#subscriptions ??= this.#configs.names().map((name) => subscriptionOf(this.#configs.current(name)))
    const facts: ClientFacts = { ...caller, client_instance_id: instanceId }
    const mine = this.#subscriptions.filter((subscription) => asks(subscription, facts))
    const all = new Set(mine.flatMap(({ metrics }) => metrics))
    const metrics = all.has(everything) ? [everything] : [...all].toSorted()
    const intervalMs = Math.min(defaultPushMs, ...mine.map((one) => one.intervalMs))
    return {
      instanceId,
      // The same as long as it means the same, also for a client that comes by another connection.
      subscriptionId: crc32c(`${metrics.join(',')} ${intervalMs} ${instanceId}`) | 0,
      metrics,
      intervalMs,
      version: this.#version,
      askedMs: -Infinity,
      pushedMs: -Infinity,
      isTerminating: false,
      mayAsk: false,
      usedMs: 0,
    }
  }
  #forgetUnused(): void {
    const nowMs = this.#clock.monotonic()
    for (const [id, { usedMs, intervalMs }] of this.#instances) {
      const isOver = nowMs - usedMs > Math.max(expiryMsMin, expiryIntervals * intervalMs)
      if (!isOver && this.#instances.size < limits.telemetryClients) return
      this.#instances.delete(id)
    }
  }
}
const tooEarly = ({ intervalMs }: Instance, sinceMs: number): Fault =>
  new Fault('kafka.telemetry-too-early', { waitMs: Math.ceil(intervalMs - Math.max(0, sinceMs)) })
