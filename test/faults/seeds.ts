/**
 * Valid request frames of every API and version that the gateway declares, with random contents: the declarations
 * themselves are walked, so a message added later is fuzzed without a line here.
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { codecOf } from '../../src/wire/kafka/codec/compile.ts'
import type { AnyShape, Api } from '../../src/wire/kafka/codec/shape.ts'
import { WireWriter } from '../../src/wire/kafka/codec/wire.ts'
import { repository } from '../interop/setup/index.ts'
import { batchOf, recordId } from './records.ts'
import { text } from './wire.ts'

type Random = () => number
const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!

export async function gatewayApis(): Promise<Api[]> {
  const files = globSync(join(repository, 'src/wire/kafka/messages/*.ts')).sort()
  const modules = (await Promise.all(files.map((file) => import(file)))) as Record<string, unknown>[]
  const apis = modules.flatMap((module) => Object.values(module)).filter(isApi)
  if (apis.length === 0) throw new Error('no message declaration was found in src/wire/kafka/messages')
  return apis
}
const isApi = (value: unknown): value is Api =>
  typeof value === 'object' && value !== null && 'key' in value && 'request' in value && 'versions' in value

/** One frame for each version of each API. */
export function seedFrames(apis: readonly Api[], topics: readonly string[], random: Random): Buffer[] {
  const frames: Buffer[] = []
  for (const api of apis)
    for (let version = api.versions[0]; version <= api.versions[1]; version++)
      frames.push(seedFrame(api, version, topics, random))
  return frames
}

function seedFrame(api: Api, version: number, topics: readonly string[], random: Random): Buffer {
  const flexible = version >= api.flexible
  const body = new WireWriter()
  const value = new Values(version, topics, random).of(api.request, api.name)
  codecOf(api.request, version, flexible).encode(value as never, body)
  const out = new ByteWriter()
  out.int32(0)
  out.int16(api.key)
  out.int16(version)
  out.int32(Math.floor(random() * 2 ** 31))
  text(out, 'seed')
  if (flexible) out.uvarint(0)
  for (const piece of body.take()) out.raw(piece)
  const frame = Buffer.from(out.done())
  frame.writeInt32BE(frame.length - 4, 0)
  return frame
}

/** So many numbers are at the edge of what their field holds, or of what is exact. */
const edgeShare = 0.03
const edges = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  uint16: [65_535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1, 2 ** 31, 2 ** 32],
  float64: [Number.NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE],
}
/** Random values of a shape, near to what makes sense: existing topics, small numbers, real record batches. */
class Values {
  readonly #version: number
  readonly #topics: readonly string[]
  readonly #random: Random

  constructor(version: number, topics: readonly string[], random: Random) {
    this.#version = version
    this.#topics = topics
    this.#random = random
  }

  of(shape: AnyShape, name: string): unknown {
    const random = this.#random
    const { node } = shape
    if (this.#version >= shape.nullableSince && random() < 0.1) return null
    switch (node.kind) {
      case 'bool':
        return random() < 0.5
      case 'string':
        return /name|topic/i.test(name)
          ? pick(random, this.#topics)
          : pick(random, ['', 'a', 'range', 'consumer', 'gzip'])
      case 'uuid':
        return '00000000-0000-0000-0000-000000000000'
      case 'bytes':
        return Buffer.from(Array.from({ length: Math.floor(random() * 12) }, () => Math.floor(random() * 256)))
      case 'records': {
        const owner = random() < 0.3 ? { producerId: Math.floor(random() * 50), epoch: 0 } : null
        return [batchOf(recordId(1_000, Math.floor(random() * 1_000)), 1 + Math.floor(random() * 3), owner)]
      }
      case 'array':
        return Array.from({ length: Math.floor(random() * 3) }, () => this.of(node.item, name))
      case 'struct':
        return Object.fromEntries(
          node.fields
            .filter((field) => this.#version >= field.shape.since && this.#version <= field.shape.until)
            .map((field) => [field.name, this.of(field.shape, field.name)]),
        )
      case 'int8':
      case 'int16':
      case 'uint16':
      case 'int32':
      case 'int64':
      case 'float64':
        return this.#number(name, node.kind)
    }
  }

  #number(name: string, kind: keyof typeof edges): number {
    if (this.#random() < edgeShare && !(kind === 'int32' && /ms$/i.test(name))) return pick(this.#random, edges[kind])
    // Waits stay short: a request that may wait for an hour is valid and tells nothing.
    if (/ms$/i.test(name)) return Math.floor(this.#random() * 200)
    if (/partitions$/i.test(name)) return 1 + Math.floor(this.#random() * 3)
    return pick(this.#random, [0, 0, 0, 1, 1, 2, -1, 100])
  }
}
