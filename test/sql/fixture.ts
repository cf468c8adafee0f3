/** A schema of a few relations, and statements planned against it. */
import type { ViewPlan } from '../../src/flow/plan.ts'
import type { PlannedAlert } from '../../src/sql/alert.ts'
import { planAlert } from '../../src/sql/plan/alert.ts'
import type { PlanContext } from '../../src/sql/plan/context.ts'
import { planRelation } from '../../src/sql/plan/definitions.ts'
import type { Relation } from '../../src/sql/plan/relation.ts'
import { planView } from '../../src/sql/plan/view.ts'
import { parseStatements } from '../../src/sql/syntax/parse.ts'

export const shop = `
  CREATE STREAM purchases (customerId text, item text, quantity int, amount numeric(12,2), bought_at timestamptz,
    note jsonb, WATERMARK FOR bought_at AS bought_at - INTERVAL '5 seconds') WITH (key = 'customerid');
  CREATE STREAM clicks (page text, "user" text, ms double precision);
  CREATE TABLE items (item text PRIMARY KEY, stock int, price numeric(12,2));
  CREATE TABLE stock (warehouse text, item text, quantity bigint, PRIMARY KEY (warehouse, item));
  CREATE MATERIALIZED VIEW totals AS SELECT item, count(*) AS n, sum(amount) AS total FROM purchases GROUP BY item;
  CREATE MATERIALIZED VIEW minutes AS SELECT window_start, window_end, item, sum(amount) AS total
    FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') GROUP BY window_start, window_end, item EMIT ON WINDOW CLOSE;
`
export interface Planned {
  readonly views: ViewPlan[]
  readonly alerts: PlannedAlert[]
  readonly relations: Relation[]
}
/** Plans all statements of a text in order. Throws SqlFault. */
export function plan(text: string, known: readonly Relation[] = []): Planned {
  const relations = [...known]
  const out: Planned = { views: [], alerts: [], relations }
  for (const statement of parseStatements(text)) {
    const ctx: PlanContext = {
      text,
      schema: { relations: () => relations },
      parameters: null,
      mode: 'view',
      ctes: [],
      close: null,
      allowUnbounded: false,
    }
    if (statement.kind === 'create-stream' || statement.kind === 'create-table')
      relations.push(planRelation(ctx, statement).relation)
    else if (statement.kind === 'create-view') {
      const { view, relation } = planView(ctx, statement)
      out.views.push(view)
      relations.push(relation)
    } else if (statement.kind === 'create-alert') out.alerts.push(planAlert(ctx, statement))
    else throw new Error(`not a definition: ${statement.kind}`)
  }
  return out
}
export const shopRelations: readonly Relation[] = plan(shop).relations
