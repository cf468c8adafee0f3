/** The same requests to Millrace and to Apache Kafka 4.3.1: what they answer must be equal. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { AnyShape, Api, Decoded, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { findCoordinatorApi } from '../../../src/wire/kafka/messages/10-find-coordinator.ts'
import { createTopicsApi } from '../../../src/wire/kafka/messages/19-create-topics.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import { type KafkaBroker, type Millrace, startKafka, startMillrace } from '../setup/index.ts'

/** Kafka answers some of its first requests with "not yet". */
const notYet = new Set([14, 15, 16])
const run = Date.now().toString(36)
let names = 0
export const fresh = (stem: string): string => `${stem}-${run}-${names++}`
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export class Side {
  readonly name: string
  readonly address: string
  #client: WireClient | null = null
  /** Numbers that a side chose itself, by the order in which they were met. */
  readonly #called = new Map<number, string>()

  constructor(name: string, address: string) {
    this.name = name
    this.address = address
  }
  /** Until the coordinator of these keys is there. */
  async ready(keyType: number): Promise<void> {
    for (let i = 0; i < 400; i++) {
      const found = await this.ask(findCoordinatorApi, 4, { coordinatorKeys: ['x'], key: '', keyType })
      if (!notYet.has(found.coordinators[0]!.errorCode)) return
      await pause(50)
    }
    throw new Error(`${this.name} did not become ready`)
  }
  async ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    const [host, port] = this.address.split(':') as [string, string]
    this.#client ??= await WireClient.open({ host, port: Number(port) })
    return this.#client.ask(api, version, request)
  }
  async topic(name: string, numPartitions: number): Promise<void> {
    const asked = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
    await this.ask(createTopicsApi, 7, { topics: [asked], timeoutMs: 10_000, validateOnly: false })
    for (let i = 0; i < 200; i++) {
      const { topics } = await this.ask(metadataApi, 12, {
        topics: [{ topicId: nullUuid, name }],
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      })
      const { partitions } = topics[0]!
      if (partitions.length === numPartitions && partitions.every((one) => one.leaderId >= 0)) return
      await pause(50)
    }
    throw new Error(`${this.name}: ${name} was not made`)
  }
  /** A name for a number that each side chooses, the same on both. */
  called(number: number): string | number {
    if (number < 0) return number
    let name = this.#called.get(number)
    if (name === undefined) this.#called.set(number, (name = `#${this.#called.size}`))
    return name
  }
  /** What comes now is called anew. */
  begin(): void {
    this.#called.clear()
  }
  close(): void {
    this.#client?.close()
  }
}

export interface Beside {
  /** Does the same on both sides; what they say must be equal. */
  both<T>(what: string, call: (side: Side) => Promise<T>): Promise<T>
  each(call: (side: Side) => Promise<void>): Promise<void>
}
/** Both brokers, for a whole test file. MILLRACE_TEST_KAFKA names a Kafka that runs already. */
export function startBeside(
  hooks: { before(call: () => Promise<void>): void; after(call: () => Promise<void>): void },
  settings: readonly string[],
): Beside {
  let sides: readonly Side[] = []
  let kafka: KafkaBroker | null = null
  let millrace: Millrace | null = null
  const folder = mkdtempSync(join(tmpdir(), 'kafka-beside-'))
  hooks.before(async () => {
    const other = process.env['MILLRACE_TEST_KAFKA']
    if (other === undefined) kafka = await startKafka(join(folder, 'kafka'), settings)
    millrace = await startMillrace()
    sides = [new Side('millrace', millrace.kafka), new Side('kafka', other ?? kafka!.address)]
    await Promise.all(sides.map((side) => side.ready(0)))
    await Promise.all(sides.map((side) => side.ready(1)))
  })
  hooks.after(async () => {
    for (const side of sides) side.close()
    await millrace?.stop()
    await kafka?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    async both(what, call) {
      for (const side of sides) side.begin()
      const [ours, theirs] = await Promise.all(sides.map(call))
      // Of a list of answers, those that differ: the rest would hide them.
      const differences =
        Array.isArray(ours) && Array.isArray(theirs)
          ? ours.flatMap((one, i) => (isDeepStrictEqual(one, theirs[i]) ? [] : [{ i, ours: one, theirs: theirs[i] }]))
          : []
      assert.deepEqual(differences, [], `${what}: ${JSON.stringify(differences, null, 1)}`)
      assert.deepEqual(ours, theirs, what)
      return ours!
    },
    async each(call) {
      await Promise.all(sides.map(call))
    },
  }
}
