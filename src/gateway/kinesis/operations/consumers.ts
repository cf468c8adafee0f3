/** Consumers that are registered: each has the shards' records sent to it (SubscribeToShard). */
import { type Call, type Handlers, madeAt, page, pageAfter, pageToken, resourceOf } from '../call.ts'
import { inUse, invalid, notFound, overLimit } from '../errors.ts'
import type { Consumer, Stream } from '../streams.ts'
import { tagsOf } from './tag-rules.ts'

const consumersMax = 1_000
const listedDefault = 100
const consumerArn = (stream: Stream, name: string, { createdMs }: Consumer): string =>
  `${stream.arn}/consumer/${name}:${Math.floor(createdMs / 1_000)}`

export const consumerOperations = {
  async RegisterStreamConsumer(call) {
    const { streams } = call.service
    const { name } = call.found('alter')
    const { ConsumerName } = call.input
    const consumer: Consumer = {
      createdMs: call.nowMs,
      tags: call.input.Tags === undefined ? {} : tagsOf(call.input.Tags),
    }
    await streams.change(name, ({ consumers }) => {
      if (Object.hasOwn(consumers, ConsumerName))
        throw inUse(`Consumer ${ConsumerName} for stream ${name} under account ${streams.account} already exists.`)
      if (Object.keys(consumers).length >= consumersMax)
        throw overLimit(`Stream ${name} has ${consumersMax} consumers, and no more are taken.`)
      return { consumers: { ...consumers, [ConsumerName]: consumer } }
    })
    return { Consumer: consumerJson(call, streams.get(name), ConsumerName, consumer) }
  },
  async DeregisterStreamConsumer(call) {
    const { streams } = call.service
    const { stream, consumer } = namedConsumer(call, 'alter')
    await streams.change(stream.name, ({ consumers }) => {
      const { [consumer]: gone, ...rest } = consumers
      void gone
      return { consumers: rest }
    })
    call.service.subscriptions.endAll(stream.topicId, consumer)
    return null
  },
  DescribeStreamConsumer(call) {
    const { stream, consumer } = namedConsumer(call, 'describe')
    return {
      ConsumerDescription: {
        ...consumerJson(call, stream, consumer, stream.consumers[consumer]!),
        StreamARN: stream.arn,
      },
    }
  },
  ListStreamConsumers(call) {
    const { NextToken, MaxResults = listedDefault, StreamCreationTimestamp } = call.input
    if (NextToken !== undefined && StreamCreationTimestamp !== undefined)
      throw invalid('NextToken and StreamCreationTimestamp cannot be provided together.')
    const stream = madeAt(call, call.found('describe'), StreamCreationTimestamp)
    const after = pageAfter(NextToken)
    const { some, more } = page(Object.keys(stream.consumers).toSorted(), MaxResults, (name) => name > after)
    return {
      Consumers: some.map((name) => consumerJson(call, stream, name, stream.consumers[name]!)),
      ...(more ? { NextToken: pageToken(some.at(-1)!) } : {}),
    }
  },
} satisfies Partial<Handlers>

const consumerJson = ({ codec }: Call, stream: Stream, name: string, consumer: Consumer): object => ({
  ConsumerName: name,
  ConsumerARN: consumerArn(stream, name, consumer),
  ConsumerStatus: 'ACTIVE',
  ConsumerCreationTimestamp: codec.time(Math.floor(consumer.createdMs / 1_000) * 1_000),
})

interface ConsumerNamed {
  readonly StreamARN?: string | undefined
  readonly ConsumerName?: string | undefined
  readonly ConsumerARN?: string | undefined
}
function namedConsumer(
  call: Call<'DeregisterStreamConsumer'> | Call<'DescribeStreamConsumer'>,
  needs: 'alter' | 'describe',
): { stream: Stream; consumer: string } {
  const { StreamARN, ConsumerName, ConsumerARN }: ConsumerNamed = call.input
  if (ConsumerARN !== undefined) return consumerOf(call, ConsumerARN, needs)
  if (StreamARN === undefined || ConsumerName === undefined)
    throw invalid('Either ConsumerARN or both StreamARN and ConsumerName should be provided.')
  const stream = call.found(needs, { StreamARN })
  if (!Object.hasOwn(stream.consumers, ConsumerName))
    throw notFound(
      `Consumer ${ConsumerName} for stream ${stream.name} under account ${call.service.streams.account} not found.`,
    )
  return { stream, consumer: ConsumerName }
}
/** Of an ARN. Throws ServiceError. */
export function consumerOf(
  call: Call,
  arn: string,
  needs: 'alter' | 'describe' | 'read',
): { stream: Stream; consumer: string } {
  const { stream: name = '', consumer = '' } = resourceOf(arn)
  const stream = call.found(needs, { StreamName: name })
  const found = stream.consumers[consumer]
  // The time at its end tells a consumer from a later one of the same name.
  if (!Object.hasOwn(stream.consumers, consumer) || !arn.endsWith(`:${Math.floor(found!.createdMs / 1_000)}`))
    throw notFound(`Consumer ${arn} not found.`)
  return { stream, consumer }
}
