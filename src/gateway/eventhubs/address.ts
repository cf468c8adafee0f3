/** What links, tokens and requests name: a hub, one of its partitions, a consumer group. */
import { limits } from '../../lib/limits.ts'
import { Refused, condition } from './conditions.ts'

export type Address =
  | { readonly node: '$cbs' }
  /** With the hub, where the address names it. */
  | { readonly node: '$management'; readonly hub: string | null }
  /** `publisher`: whose events go together, as with a partition key. */
  | { readonly node: 'hub'; readonly hub: string; readonly partition: string | null; readonly publisher: string | null }
  | { readonly node: 'group'; readonly hub: string; readonly group: string; readonly partition: string }

/** The parts of a path; a scheme and host before it are passed over. */
export function segmentsOf(text: string): string[] {
  const path = text.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, '')
  return path.split('/').filter((part) => part !== '')
}
const is = (part: string | undefined, word: string): boolean => part?.toLowerCase() === word

/** Throws Refused. */
export function addressOf(text: string): Address {
  const parts = segmentsOf(text)
  const [hub, second, third, fourth, fifth] = parts
  if (is(parts.at(-1), '$cbs')) return { node: '$cbs' }
  if (is(parts.at(-1), '$management')) return { node: '$management', hub: parts.length > 1 ? hub! : null }
  if (hub !== undefined) {
    if (parts.length === 1) return { node: 'hub', hub, partition: null, publisher: null }
    if (parts.length === 3 && is(second, 'partitions')) return { node: 'hub', hub, partition: third!, publisher: null }
    if (parts.length === 3 && is(second, 'publishers'))
      return { node: 'hub', hub, partition: null, publisher: publisherOf(third!) }
    if (parts.length === 5 && is(second, 'consumergroups') && is(fourth, 'partitions'))
      return { node: 'group', hub, group: third!, partition: fifth! }
  }
  throw new Refused(condition.notFound, `The messaging entity '${text.slice(0, 300)}' could not be found.`)
}

/** Throws Refused. */
function publisherOf(text: string): string {
  if (text.length <= limits.amqpKeyLength) return text
  throw new Refused(condition.argument, `The name of a publisher has ${limits.amqpKeyLength} characters at most.`)
}

/** The number of a partition that is named. Throws Refused. */
export function partitionOf(text: string, partitions: number): number {
  const index = /^\d{1,9}$/.test(text) ? Number(text) : -1
  if (index >= 0 && index < partitions) return index
  throw new Refused(
    condition.outOfRange,
    `The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and ${partitions - 1}, not '${text.slice(0, 100)}'.`,
  )
}

const groupForm = /^(\$default|[a-z0-9][a-z0-9._-]{0,49})$/i
/** Consumer groups need not be made; their names are those that the real service takes, whatever their case. Throws Refused. */
export function groupOf(text: string): string {
  if (groupForm.test(text)) return text.toLowerCase()
  throw new Refused(
    condition.argument,
    `'${text.slice(0, 100)}' is no name of a consumer group: 1 to 50 letters, digits, '.', '-' and '_'.`,
  )
}
