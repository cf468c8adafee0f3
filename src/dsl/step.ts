/** A step of a chain: a query in SQL over what the steps before give, planned at once. */
import type { SqlFunctionDefinition } from '../flow/user-functions.ts'
import { Fault } from '../lib/fault.ts'
import { UserFunctions } from '../sql/bind/user-functions.ts'
import { planQuery } from '../sql/plan/query.ts'
import { type Rel, columnsToScope } from '../sql/plan/relation.ts'
import { parseStatements } from '../sql/syntax/parse.ts'
import type { Text } from './text.ts'

/** `inputs` are what the query may name in FROM. Throws SqlFault. */
export function planStep({ text, functions }: Text, inputs: Readonly<Record<string, Rel>>): Rel {
  const [statement] = parseStatements(text)
  if (statement?.kind !== 'query') throw new Fault('internal', { what: `a step is no query: ${text}` })
  const rel = planQuery(
    {
      text,
      schema: { relations: () => [], functions: new UserFunctions(functions as readonly SqlFunctionDefinition[]) },
      parameters: null,
      mode: 'view',
      ctes: Object.entries(inputs).map(([name, input]) => ({ name, rel: input })),
      close: null,
      // It is refused where the view is made, which may accept it.
      allowUnbounded: true,
    },
    statement.query,
  )
  return { ...rel, scope: columnsToScope(null, rel.plan.columns) }
}
