/** What people import to define things. */
export {
  type AlertDefinition,
  type AlertOptions,
  type WebhookOptions,
  type AnyTopic,
  type AnyView,
  type Definition,
  type SqlText,
  type TopicDefinition,
  type TopicOptions,
  type ViewDefinition,
  type ViewOptions,
  defineAlert,
  defineTopic,
  defineView,
  isAlert,
  isDefinition,
  isTopic,
  isView,
  sql,
} from './definitions.ts'
export {
  type SqlFunctionDefinition,
  type SqlFunctionOptions,
  type SqlType,
  defineSqlFunction,
} from '../flow/user-functions.ts'
export { type JsonSchema, type Schema } from './standard-schema.ts'
export {
  type Aggregation,
  avg,
  count,
  countDistinct,
  every,
  max,
  min,
  some,
  stddev,
  stddevPop,
  sum,
  variance,
  variancePop,
} from './aggregation.ts'
export { type Restart } from './restart.ts'
export { type ColumnsOf, type Expr, type RowOf, asc, call, desc, when } from './expr.ts'
export { type CountWindow, type GlobalWindow, type TriggerOptions } from './global-window.ts'
export {
  type Broadcast,
  type KeyedContext,
  type KeyedOptions,
  type Output,
  listState,
  mapState,
  valueState,
} from './keyed.ts'
export { type Context, type JoinOptions, type OverOptions, type Process, type Stream } from './stream.ts'
