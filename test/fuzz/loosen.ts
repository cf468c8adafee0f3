/** A query without its conditions: what is asked where the conditions leave no row. */
import type { From, Query } from './node.ts'

export function loosened(q: Query): Query {
  const ctes = q.ctes.map((cte) => ({ ...cte, query: loosened(cte.query) }))
  if (q.body.node === 'set')
    return { ...q, ctes, body: { ...q.body, left: loosened(q.body.left), right: loosened(q.body.right) } }
  // Row numbers need their limit.
  const where = q.body.where.filter(({ args }) => args.some((arg) => arg.node === 'expr' && arg.ours.endsWith('.rn')))
  return { ...q, ctes, body: { ...q.body, where, having: [], from: loosenedFrom(q.body.from) } }
}
function loosenedFrom(from: From): From {
  switch (from.node) {
    case 'derived':
      return { ...from, query: loosened(from.query) }
    case 'join':
      return { ...from, left: loosenedFrom(from.left), right: loosenedFrom(from.right) }
    default:
      return from
  }
}
