/** A failure as something that can be run again and pasted into a test. */
import type { Case } from './case.ts'
import { queryText } from './node.ts'
import type { Outcome } from './run.ts'
import { definitions, recordOf } from './tables.ts'

export function report(
  { seed, dataset, query }: Case,
  { what, detail }: Extract<Outcome, { kind: 'different' }>,
): string {
  const ours = queryText(query, 'ours')
  const used = dataset.relations.filter(({ name }) => new RegExp(`\\b${name}\\b`).test(ours))
  const changes = dataset.changes
    .filter(({ relation }) => used.includes(relation))
    .map((c) => `  ${c.relation.name}/${c.partition}${c.key === null ? '' : ` ${c.key} =`} ${recordOf(c) ?? 'removed'}`)
  return [
    `seed ${seed}: ${what} is not what DuckDB gives`,
    detail.trimEnd(),
    `again: npm run test:fuzz -- --seed ${seed} --queries 1`,
    `relations:\n${definitions({ ...dataset, relations: used })}`,
    `changes, in order:\n${changes.join('\n')}`,
    `ours:   ${ours}`,
    `theirs: ${queryText(query, 'theirs')}`,
  ].join('\n')
}
