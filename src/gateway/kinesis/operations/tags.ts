/** Tags of streams and consumers, and policies of resources. Policies are kept and given back; grants decide who may do what. */
import { type Call, type Handlers, page, resourceOf } from '../call.ts'
import { invalid, notFound } from '../errors.ts'
import type { Consumer, StreamState } from '../streams.ts'
import { consumerOf } from './consumers.ts'
import { type KeptQueue, queueOf, setQueue } from './queue-state.ts'
import { checkLetters, checkPercent, tagList, tagsOf, withTags, withoutTags } from './tag-rules.ts'

type Tags = Readonly<Record<string, string>>
const listedDefault = 100

export const tagOperations = {
  async AddTagsToStream(call) {
    const { streams } = call.service
    const { name } = call.found('alter')
    const tags = tagsOf(call.input.Tags)
    const what = `to add tags to stream ${name} under account ${streams.account}`
    checkPercent([...Object.keys(tags), ...Object.values(tags)], what)
    await streams.change(name, (stream) => ({ tags: withTags(stream.tags, tags, what) }))
    return null
  },
  async RemoveTagsFromStream(call) {
    const { streams } = call.service
    const { name } = call.found('alter')
    const { TagKeys } = call.input
    checkLetters(TagKeys)
    checkPercent(TagKeys, `to remove tags from stream ${name} under account ${streams.account}`)
    await streams.change(name, (stream) => ({ tags: withoutTags(stream.tags, TagKeys) }))
    return null
  },
  ListTagsForStream(call) {
    const { tags } = call.found('describe')
    const { Limit = listedDefault, ExclusiveStartTagKey } = call.input
    const { some, more } = page(tagList(tags), Limit, ({ Key }) => Key > (ExclusiveStartTagKey ?? ''))
    return { Tags: some, HasMoreTags: more }
  },
  async TagResource(call) {
    const { ResourceARN } = call.input
    const more = tagsOf(call.input.Tags)
    await change(call, ResourceARN, (tags) => withTags(tags, more, `to tag ${ResourceARN}`))
    return null
  },
  async UntagResource(call) {
    const { ResourceARN, TagKeys } = call.input
    await change(call, ResourceARN, (tags) => withoutTags(tags, TagKeys))
    return null
  },
  ListTagsForResource: (call) => ({ Tags: tagList(resource(call, call.input.ResourceARN, 'describe').tags) }),

  async PutResourcePolicy(call) {
    const { ResourceARN, Policy } = call.input
    if (!isObject(Policy)) throw invalid('Policy is not valid: it is the text of a JSON object.')
    await put(call, ResourceARN, Policy)
    return null
  },
  GetResourcePolicy: (call) => ({ Policy: resource(call, call.input.ResourceARN, 'describe').policy ?? '{}' }),
  async DeleteResourcePolicy(call) {
    const { ResourceARN } = call.input
    if (resource(call, ResourceARN, 'alter').policy === null)
      throw notFound(`No resource policy found for resource ARN ${ResourceARN}.`)
    await put(call, ResourceARN, null)
    return null
  },
} satisfies Partial<Handlers>

interface Resource {
  readonly tags: Tags
  readonly policy: string | null
  /** Keeps it. */
  set(tags: Tags, policy: string | null): Promise<void>
}
/** Throws ServiceError ResourceNotFoundException, AccessDeniedException. */
function resource(call: Call, arn: string, needs: 'describe' | 'alter'): Resource {
  const { streams } = call.service
  const { stream: name, consumer, queue } = resourceOf(arn)
  if (queue !== undefined) {
    const kept = queueOf(streams, queue)
    if (kept === null) throw unknown(arn)
    for (const { name: stream } of kept.streams) call.demand(needs, stream)
    const set = (tags: Tags, policy: string | null): Promise<void> =>
      setQueue(streams, { ...kept, tags, policy } as KeptQueue)
    return { tags: kept.tags, policy: kept.policy ?? null, set }
  }
  if (name === undefined) throw unknown(arn)
  const stream = call.found(needs, { StreamName: name })
  if (consumer === undefined) {
    const set = (tags: Tags, policy: string | null): Promise<void> => streams.change(name, () => ({ tags, policy }))
    return { tags: stream.tags, policy: stream.policy, set }
  }
  consumerOf(call, arn, needs)
  const of = stream.consumers[consumer]!
  const set = (tags: Tags, policy: string | null): Promise<void> =>
    streams.change(name, ({ consumers }): Partial<StreamState> => {
      const { policy: before, ...rest } = consumers[consumer] ?? of
      void before
      const next: Consumer = { ...rest, tags, ...(policy === null ? {} : { policy }) }
      return { consumers: { ...consumers, [consumer]: next } }
    })
  return { tags: of.tags, policy: of.policy ?? null, set }
}
function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
const unknown = (arn: string): Error => notFound(`Resource ${arn} not found.`)
async function change(call: Call, arn: string, next: (tags: Tags) => Tags): Promise<void> {
  const { tags, policy, set } = resource(call, arn, 'alter')
  await set(next(tags), policy)
}
async function put(call: Call, arn: string, policy: string | null): Promise<void> {
  const { tags, set } = resource(call, arn, 'alter')
  await set(tags, policy)
}
