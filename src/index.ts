/** What people import from `millrace`. */
export {
  type Aggregation,
  type AlertDefinition,
  type AlertOptions,
  type Context,
  type Process,
  type Schema,
  type SqlFunctionDefinition,
  type SqlFunctionOptions,
  type SqlText,
  type SqlType,
  type Stream,
  type TopicDefinition,
  type TopicOptions,
  type ViewDefinition,
  type ViewOptions,
  avg,
  count,
  countDistinct,
  defineAlert,
  defineSqlFunction,
  defineTopic,
  defineView,
  max,
  min,
  sql,
  stddev,
  sum,
} from './flow/dsl.ts'
export { Fault, type FaultCode } from './lib/fault.ts'
export type { Settings } from './node/config.ts'
export type { Diagnosis } from './query/engine.ts'
export {
  type EmbeddedOptions,
  type Millrace,
  type RowChange,
  type SendOptions,
  type TopicHandle,
  type ViewHandle,
  start,
} from './node/embedded.ts'
