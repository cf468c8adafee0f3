/** What people import to define things. */
export {
  type AlertDefinition,
  type AlertOptions,
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
} from './user-functions.ts'
export { type Schema } from './standard-schema.ts'
export {
  type Aggregation,
  type Context,
  type Process,
  type Stream,
  avg,
  count,
  countDistinct,
  max,
  min,
  stddev,
  sum,
} from './stream.ts'
