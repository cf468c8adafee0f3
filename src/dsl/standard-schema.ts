/** Schemas as the TypeScript definitions take them: Standard Schema, best with Standard JSON Schema, or JSON Schema itself. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { Fault } from '../lib/fault.ts'

/** A validator without transforms: what goes in is what comes out. */
export type Schema<T> = StandardSchemaV1<T, T> & Partial<StandardJSONSchemaV1<T, T>>
/** JSON Schema of an object, as a value: the type of its events is said beside it. */
export interface JsonSchema {
  readonly properties: { readonly [field: string]: object | boolean }
  readonly required?: readonly string[]
  readonly '~standard'?: never
  readonly [keyword: string]: unknown
}

/** Throws Fault config.invalid where there is none. */
export function jsonSchemaOf(name: string, schema: object): object {
  const invalid = (value: string, why: string, cause?: unknown): Fault =>
    new Fault('config.invalid', { setting: `schema of ${name}`, value, why }, cause)
  if (typeof schema !== 'object' && typeof schema !== 'function')
    throw invalid(String(schema), 'it is a validator, as of zod, or a JSON Schema')
  if (schema === null) throw invalid('null', 'it is a validator, as of zod, or a JSON Schema')
  if (!('~standard' in schema) || schema['~standard'] === undefined) {
    if ('properties' in schema && typeof schema.properties === 'object' && schema.properties !== null) return schema
    const why =
      'it is no validator of Standard Schema (as of zod), and no JSON Schema of an object, which has properties'
    throw invalid(Object.keys(schema).slice(0, 5).join(', ') || 'an object', why)
  }
  const standard = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  const vendor = String(standard.vendor)
  if (standard.jsonSchema === undefined)
    throw invalid(vendor, 'the validator cannot give its JSON Schema; pass jsonSchema beside it')
  try {
    return standard.jsonSchema.input({ target: 'draft-2020-12' })
  } catch (error) {
    const why = `its JSON Schema cannot be had: ${error instanceof Error ? error.message : String(error)}`
    throw invalid(vendor, `${why}; pass jsonSchema beside it`, error)
  }
}
