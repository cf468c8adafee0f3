/** What is the same while one text is planned. */
import type { DataType } from '../../schema/types.ts'
import type { Expression } from '../../flow/expression.ts'
import type { BindContext } from '../bind/expressions.ts'
import type { Scope } from '../bind/scope.ts'
import type { Span } from '../fault.ts'
import type { Rel, Schema } from './relation.ts'

export interface PlanContext {
  readonly text: string
  readonly schema: Schema
  /** null in definitions. */
  readonly parameters: readonly unknown[] | null
  /** 'view': kept up to date for ever. 'once': answered and done. */
  readonly mode: 'view' | 'once'
  /** Common table expressions in reach, inner ones first. */
  readonly ctes: readonly { readonly name: string; readonly rel: Rel }[]
  /** EMIT ON WINDOW CLOSE holds here. */
  readonly close: CloseRequest | null
  readonly allowUnbounded: boolean
  /** Rows of joins go by `state_ttl`. */
  readonly joinsEnd?: boolean
  /** Of the whole text so far: steps of what it named, and nodes of what it selects, counted each time. */
  readonly size?: { steps: number; nodes: number }
  /** Takes the names of the plain views that are read. */
  readonly inlined?: Set<string>
  /** Types that the columns of VALUES go to; bare strings take them. */
  readonly expected?: readonly DataType[]
}
/** Set by the first windowed aggregate that obeys it; nobody obeying is an error. */
export interface CloseRequest {
  readonly at: number
  obeyed: boolean
}

export function bindContext(ctx: PlanContext, scope: Scope, clause: string): BindContext {
  return {
    text: ctx.text,
    parameters: ctx.parameters,
    scope,
    clause,
    aggregate: null,
    window: null,
    places: new Map<Expression, Span>(),
    ...(ctx.schema.functions === undefined ? {} : { functions: ctx.schema.functions }),
  }
}
