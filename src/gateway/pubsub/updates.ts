/** Update masks: which fields are taken from what a client sends. */
import type { Message } from '../../wire/protobuf/message.ts'
import { invalid } from './errors.ts'

/** `mutable`: names in the proto file. A path into a message takes that part of it. Throws RpcError INVALID_ARGUMENT. */
export function updated<T extends object>(
  type: Message<T>,
  options: {
    readonly old: T
    readonly given: T
    readonly paths: readonly string[]
    readonly mutable: readonly string[]
  },
): T {
  const { old, given, paths, mutable } = options
  if (paths.length === 0)
    throw invalid('The update_mask in the UpdateRequest must be set, and must contain a non-empty paths list.')
  let next = old
  for (const path of paths) {
    const [first = '', ...rest] = path.split('.')
    const field = type.fields.find(({ protoName }) => protoName === first)
    if (field === undefined)
      throw invalid(`Invalid update_mask provided in the UpdateRequest: the field '${path}' is unknown.`)
    if (!mutable.includes(first))
      throw invalid(`Invalid update_mask provided in the UpdateRequest: the field '${path}' cannot be changed.`)
    next = { ...next, [field.name]: taken(field, rest, next as Values, given as Values, path) }
  }
  return next
}
type Values = Readonly<Record<string, unknown>>
function taken(
  { name, field }: Message<object>['fields'][number],
  rest: readonly string[],
  old: Values,
  given: Values,
  path: string,
): unknown {
  const [first, ...deeper] = rest
  if (first === undefined) return given[name]
  const inner =
    field.type.is === 'message' ? field.type.message.fields.find(({ protoName }) => protoName === first) : null
  if (inner === null || inner === undefined || field.label !== 'one')
    throw invalid(`Invalid update_mask provided in the UpdateRequest: the field '${path}' is unknown.`)
  const fields = (field.type as { message: Message<object> }).message.fields
  const emptyOne = Object.fromEntries(fields.map((one) => [one.name, one.field.empty()]))
  const from = (given[name] ?? emptyOne) as Values
  const to = (old[name] ?? emptyOne) as Values
  return { ...to, [inner.name]: taken(inner, deeper, to, from, path) }
}
