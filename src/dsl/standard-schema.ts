/** Validators as the TypeScript definitions take them: Standard Schema, best with Standard JSON Schema. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { Fault } from '../lib/fault.ts'

/** A validator without transforms: what goes in is what comes out. */
export type Schema<T> = StandardSchemaV1<T, T> & Partial<StandardJSONSchemaV1<T, T>>

/** Throws Fault config.invalid when the validator cannot say it. */
export function jsonSchemaOf(name: string, schema: { readonly '~standard': object }): object {
  const standard = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  if (standard.jsonSchema === undefined)
    throw new Fault('config.invalid', {
      setting: `schema of ${name}`,
      value: String(standard.vendor),
      why: 'the validator cannot give its JSON Schema; pass jsonSchema beside it',
    })
  return standard.jsonSchema.input({ target: 'draft-2020-12' })
}
