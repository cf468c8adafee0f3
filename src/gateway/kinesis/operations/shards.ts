/** Shards: listed, split, merged, brought to another count. */
import { type Call, type Handlers, madeAt, page } from '../call.ts'
import { shardJson, shownShards } from '../describe.ts'
import { ServiceError, inUse, invalid, notFound, overLimit } from '../errors.ts'
import {
  type Shard,
  areAdjacent,
  hasEnd,
  isOpen,
  merge,
  openedMs,
  scaled,
  shardId,
  shardNumber,
  split,
} from '../shards.ts'
import type { Stream } from '../streams.ts'

const listedDefault = 1_000
const tokenGoodMs = 300_000

export const shardOperations = {
  async ListShards(call) {
    const { input } = call
    const { NextToken, StreamName, StreamARN, StreamId, ExclusiveStartShardId, MaxResults = listedDefault } = input
    const isNamed = [StreamName, StreamARN, StreamId].some((one) => one !== undefined)
    if (!isNamed && NextToken === undefined) throw invalid('Either NextToken or StreamName should be provided.')
    if (isNamed && NextToken !== undefined) throw invalid('NextToken and StreamName cannot be provided together.')
    for (const other of ['ExclusiveStartShardId', 'StreamCreationTimestamp'] as const)
      if (NextToken !== undefined && input[other] !== undefined)
        throw invalid(`NextToken and ${other} cannot be provided together.`)
    const from = NextToken === undefined ? null : tokenOf(NextToken, call.nowMs)
    const found = call.found('describe', from === null ? input : { StreamName: from.stream })
    const stream = madeAt(call, found, input.StreamCreationTimestamp)
    const after = from?.after ?? ExclusiveStartShardId ?? ''
    const filter = from === null ? input.ShardFilter : from.filter
    const numbers = shardsBy(stream, filter, call)
    const { some, more } = page(numbers, MaxResults, (shard) => shardId(shard) > after)
    await call.service.late.look(stream, some)
    const shards = some.map((shard) => shardJson(stream.shards, shard))
    if (!more) return { Shards: shards }
    const last = shardId(some.at(-1)!)
    return { Shards: shards, NextToken: token({ stream: stream.name, after: last, filter, atMs: call.nowMs }) }
  },
  async SplitShard(call) {
    const { streams } = call.service
    const name = call.reshards()
    const at = BigInt(call.input.NewStartingHashKey)
    const number = numberOf(call, name, call.input.ShardToSplit)
    await streams.reshard(name, (stream, nowMs) => {
      checkProvisioned(call, stream)
      const shard = openShard(call, stream, number)
      const { from, to } = stream.shards[shard]!
      if (at <= BigInt(from) + 1n || at >= BigInt(to))
        throw invalid(
          `NewStartingHashKey ${call.input.NewStartingHashKey} used in SplitShard() on shard ${shardId(shard)} in stream ` +
            `${name} under account ${streams.account} is not both greater than one plus the shard's StartingHashKey ` +
            `${from} and less than the shard's EndingHashKey ${to}.`,
        )
      return split(stream.shards, shard, at, nowMs)
    })
    return null
  },
  async MergeShards(call) {
    const { streams } = call.service
    const name = call.reshards()
    const { ShardToMerge, AdjacentShardToMerge } = call.input
    const numbers = [ShardToMerge, AdjacentShardToMerge].map((id) => numberOf(call, name, id)) as [number, number]
    await streams.reshard(name, (stream, nowMs) => {
      checkProvisioned(call, stream)
      const [first, second] = numbers.map((number) => openShard(call, stream, number)) as [number, number]
      if (!areAdjacent(stream.shards[first]!, stream.shards[second]!))
        throw invalid(
          `Shards ${shardId(first)} and ${shardId(second)} in stream ${name} under account ${streams.account} ` +
            'are not an adjacent pair of shards eligible for merging',
        )
      return merge(stream.shards, first, second, nowMs)
    })
    return null
  },
  async UpdateShardCount(call) {
    const { streams } = call.service
    const name = call.reshards()
    const { TargetShardCount: target } = call.input
    let current = 0
    await streams.reshard(name, (stream, nowMs) => {
      checkProvisioned(call, stream)
      current = stream.shards.filter(isOpen).length
      // Before they are made.
      streams.roomFor(Math.max(0, target - current))
      if (streams.settings.limits) checkScaling(current, target)
      return scaled(stream.shards, target, nowMs)
    })
    const { arn } = streams.get(name)
    return { StreamName: name, StreamARN: arn, CurrentShardCount: current, TargetShardCount: target }
  },
} satisfies Partial<Handlers>

function checkProvisioned(call: Call, { name, onDemand }: Stream): void {
  if (onDemand)
    throw new ServiceError('ValidationException', `${call.name} is not for streams with the mode ON_DEMAND: ${name}.`)
}
function checkScaling(current: number, target: number): void {
  if (target > current * 2)
    throw overLimit(
      `UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: ${current} ` +
        `Target shard count: ${target}`,
    )
  if (target < current / 2)
    throw overLimit(
      `UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: ${current} ` +
        `Target shard count: ${target}`,
    )
}
/** Throws ServiceError ResourceNotFoundException for what is no shard id. */
export function numberOf({ service }: Call, stream: string, id: string): number {
  const number = shardNumber(id)
  if (number === null)
    throw notFound(`Could not find shard ${id} in stream ${stream} under account ${service.streams.account}.`)
  return number
}
function openShard({ service }: Call, stream: Stream, number: number): number {
  const shard = stream.shards[number]
  const { account } = service.streams
  if (shard === undefined)
    throw notFound(`Could not find shard ${shardId(number)} in stream ${stream.name} under account ${account}.`)
  if (!isOpen(shard))
    throw inUse(
      `Shard ${shardId(number)} in stream ${stream.name} under account ${account} is closed: it has been split or merged.`,
    )
  return number
}

const endedMs = (shard: Shard): number => (hasEnd(shard) ? shard.closedMs! : Infinity)

type Filter = NonNullable<Call<'ListShards'>['input']['ShardFilter']>
const byTime: ReadonlySet<string> = new Set(['AT_TIMESTAMP', 'FROM_TIMESTAMP'])
/** Throws ServiceError. */
function shardsBy(stream: Stream, filter: Filter | undefined, { nowMs, codec }: Call): number[] {
  const { shards } = stream
  const shown = shownShards(stream, nowMs)
  if (filter === undefined) return shown
  const ms = filter.Timestamp === undefined ? null : codec.ms(filter.Timestamp)
  const isOpenAt = (shard: number, atMs: number): boolean => {
    return openedMs(shards, shard) <= atMs && endedMs(shards[shard]!) > atMs
  }
  const needsTime = (): number => {
    if (ms === null) throw invalid(`Timestamp must be specified for a ShardFilter of the type ${filter.Type}.`)
    return ms
  }
  if (filter.ShardId !== undefined && filter.Type !== 'AFTER_SHARD_ID')
    throw invalid(`ShardId cannot be specified for a ShardFilter of the type ${filter.Type}.`)
  if (ms !== null && !byTime.has(filter.Type))
    throw invalid(`Timestamp cannot be specified for a ShardFilter of the type ${filter.Type}.`)
  const trimMs = nowMs - stream.retentionMs
  switch (filter.Type) {
    case 'AFTER_SHARD_ID':
      if (filter.ShardId === undefined)
        throw invalid('ShardId must be specified for a ShardFilter of the type AFTER_SHARD_ID.')
      return shown.filter((shard) => shardId(shard) > filter.ShardId!)
    case 'AT_TRIM_HORIZON':
      return shown.filter((shard) => isOpenAt(shard, Math.max(trimMs, stream.createdMs)))
    case 'AT_LATEST':
      return shown.filter((shard) => !hasEnd(shards[shard]!))
    case 'AT_TIMESTAMP':
      return shown.filter((shard) => isOpenAt(shard, Math.max(needsTime(), stream.createdMs)))
    case 'FROM_TIMESTAMP': {
      const fromMs = needsTime()
      return shown.filter((shard) => endedMs(shards[shard]!) > fromMs)
    }
    default:
      return shown
  }
}

interface Token {
  readonly stream: string
  readonly after: string
  readonly filter: Filter | undefined
  readonly atMs: number
}
const token = (of: Token): string => Buffer.from(JSON.stringify(of)).toString('base64')
/** Throws ServiceError. */
function tokenOf(text: string, nowMs: number): Token {
  let of: Partial<Token> | null = null
  try {
    of = JSON.parse(Buffer.from(text, 'base64').toString()) as Partial<Token> | null
  } catch {
    // Said below.
  }
  const { stream, after, filter, atMs } = of ?? {}
  if (typeof stream !== 'string' || typeof after !== 'string' || typeof atMs !== 'number')
    throw invalid('NextToken is not valid.')
  if (nowMs - atMs > tokenGoodMs) throw new ServiceError('ExpiredNextTokenException', 'NextToken has expired.')
  return { stream, after, filter: typeof filter?.Type === 'string' ? filter : undefined, atMs }
}
