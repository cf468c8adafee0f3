/** What must be true of Kinesis shards, and of the records that were read from them, whatever was killed in between. */

export interface ShardRow {
  readonly id: string
  readonly parents: readonly string[]
  readonly from: bigint
  readonly to: bigint
  /** StartingSequenceNumber. */
  readonly first: bigint
  /** EndingSequenceNumber; null: it is open. */
  readonly last: bigint | null
}
interface ShardJson {
  readonly ShardId: string
  readonly ParentShardId?: string
  readonly AdjacentParentShardId?: string
  readonly HashKeyRange: { readonly StartingHashKey: string; readonly EndingHashKey: string }
  readonly SequenceNumberRange: { readonly StartingSequenceNumber: string; readonly EndingSequenceNumber?: string }
}
export interface RecordRow {
  readonly shard: string
  /** KEY:NUMBER */
  readonly text: string
  readonly sequence: bigint
}
const hashKeys = 2n ** 128n

export const shardRows = (shards: readonly ShardJson[]): ShardRow[] =>
  shards.map((shard) => ({
    id: shard.ShardId,
    parents: [shard.ParentShardId, shard.AdjacentParentShardId].filter((one) => one !== undefined),
    from: BigInt(shard.HashKeyRange.StartingHashKey),
    to: BigInt(shard.HashKeyRange.EndingHashKey),
    first: BigInt(shard.SequenceNumberRange.StartingSequenceNumber),
    last:
      shard.SequenceNumberRange.EndingSequenceNumber === undefined
        ? null
        : BigInt(shard.SequenceNumberRange.EndingSequenceNumber),
  }))
export const openRows = (rows: readonly ShardRow[]): ShardRow[] =>
  rows.filter(({ last }) => last === null).toSorted((a, b) => (a.from < b.from ? -1 : 1))

/** Of one stream: the open shards cover every hash key once; who is closed has an end, and children that begin behind it. */
export function shardProblems(rows: readonly ShardRow[]): string[] {
  const problems: string[] = []
  const byId = new Map(rows.map((row) => [row.id, row]))
  if (byId.size !== rows.length) problems.push('a shard is listed twice')
  let next = 0n
  for (const { id, from, to } of openRows(rows)) {
    if (from !== next) problems.push(`${id} begins at ${from}: hash keys from ${next} are held by none or by two`)
    if (to < from) problems.push(`${id} ends before it begins`)
    next = to + 1n
  }
  if (next !== hashKeys) problems.push(`the open shards end at ${next}`)
  for (const { id, first, last } of rows) {
    if (last === null) continue
    if (last <= first) problems.push(`${id} ends at ${last}, before it begins at ${first}`)
    if (!rows.some(({ parents }) => parents.includes(id))) problems.push(`${id} is closed and has no children`)
  }
  for (const { id, parents, first } of rows)
    for (const parent of parents) {
      const end = byId.get(parent)?.last
      if (end === undefined) continue
      if (end === null) problems.push(`${parent} is open and has the child ${id}`)
      else if (first <= end) problems.push(`${id} begins at ${first}, its parent ${parent} ends at ${end}`)
    }
  return problems
}
/** What was once said of shards holds: none goes, none changes, and who was closed stays so. */
export function changedProblems(before: readonly ShardRow[], now: readonly ShardRow[]): string[] {
  const byId = new Map(now.map((row) => [row.id, row]))
  return before.flatMap((old) => {
    const row = byId.get(old.id)
    if (row === undefined) return [`${old.id} is not there any more`]
    const same =
      row.from === old.from &&
      row.to === old.to &&
      row.first === old.first &&
      row.parents.join() === old.parents.join() &&
      (old.last === null || row.last === old.last)
    return same ? [] : [`${old.id} is not as it was`]
  })
}

/** What writers were told about the records of a stream. */
export class Written {
  /** Where it is, by its text. */
  readonly acknowledged = new Map<string, { readonly shard: string; readonly sequence: bigint }>()
  /** Sent and not answered. */
  readonly unknown = new Set<string>()
  /** Answered with an error. */
  readonly refused = new Set<string>()
}
/**
 * All records of a stream, as one reader got them that reads parents to their ends before their children: what was answered is
 * there, where it was said to be; nothing is there twice; a shard's sequence numbers rise; a key's records come in order.
 */
export function recordProblems(written: Written, read: readonly RecordRow[], rows: readonly ShardRow[]): string[] {
  const problems: string[] = []
  const found = new Map<string, RecordRow>()
  const lastOfShard = new Map<string, bigint>()
  const lastOfKey = new Map<string, number>()
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const row of read) {
    const { shard, text, sequence } = row
    if (found.has(text)) problems.push(`${text} was read twice, from ${found.get(text)!.shard} and from ${shard}`)
    found.set(text, row)
    if (!written.acknowledged.has(text) && !written.unknown.has(text))
      problems.push(`${text} was ${written.refused.has(text) ? 'refused' : 'never sent'}, and is in ${shard}`)
    const of = byId.get(shard)
    if (of === undefined) problems.push(`${text} was read from ${shard}, which is not listed`)
    else if (sequence <= of.first || (of.last !== null && sequence >= of.last))
      problems.push(`${text} has the sequence number ${sequence}, outside of ${shard}`)
    if (sequence <= (lastOfShard.get(shard) ?? 0n))
      problems.push(`${text} has the sequence number ${sequence}, not behind the one before it in ${shard}`)
    lastOfShard.set(shard, sequence)
    const [key = '', number] = text.split(':')
    if (Number(number) <= (lastOfKey.get(key) ?? -1)) problems.push(`${text} came after ${key}:${lastOfKey.get(key)}`)
    lastOfKey.set(key, Number(number))
  }
  for (const [text, { shard, sequence }] of written.acknowledged) {
    const row = found.get(text)
    if (row === undefined) problems.push(`${text} was acknowledged in ${shard}, and is lost`)
    else if (row.shard !== shard || row.sequence !== sequence)
      problems.push(`${text} was acknowledged as ${shard}/${sequence}, and is ${row.shard}/${row.sequence}`)
  }
  return problems
}
