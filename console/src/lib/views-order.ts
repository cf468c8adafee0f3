/**
 * Which views to show first: those that failed, then those that nobody builds on (answers), then those in between. A view is
 * built on when its name stands in the text of another.
 */
import type { RelationInfo } from '../../../src/query/engine.ts'

export function byInterest(relations: readonly RelationInfo[]): RelationInfo[] {
  const inputs = new Set(relations.flatMap((r) => namesIn(r)))
  const rank = (r: RelationInfo): number => (r.status === 'failed' ? 0 : inputs.has(r.name.toLowerCase()) ? 2 : 1)
  return relations
    .filter((r) => r.kind === 'view')
    .map((view) => ({ view, rank: rank(view) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ view }) => view)
}

/** Words of the text but the view's own name. */
function namesIn({ name, sql }: RelationInfo): string[] {
  const words = (sql ?? '').toLowerCase().match(/[a-z_][\w$.]*/g) ?? []
  return words.filter((word) => word !== name.toLowerCase())
}
