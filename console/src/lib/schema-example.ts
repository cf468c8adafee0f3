/** A value to begin with, from a JSON Schema: every property with a value of its kind. Not meant to pass every rule. */
const depthMax = 5

export function exampleOf(schema: unknown): string {
  return JSON.stringify(example(schema, 0), null, 2)
}

function example(schema: unknown, depth: number): unknown {
  if (!isObject(schema) || depth > depthMax) return {}
  for (const name of ['default', 'const']) if (name in schema) return schema[name]
  for (const name of ['examples', 'enum'])
    if (Array.isArray(schema[name]) && schema[name].length > 0) return schema[name][0] as unknown
  for (const name of ['anyOf', 'oneOf', 'allOf'])
    if (Array.isArray(schema[name]) && schema[name].length > 0) return example(schema[name][0], depth + 1)
  const type = Array.isArray(schema['type']) ? (schema['type'] as unknown[])[0] : schema['type']
  switch (type) {
    case 'string':
      return exampleText(schema['format'])
    case 'integer':
    case 'number':
      return exampleNumber(schema)
    case 'boolean':
      return false
    case 'null':
      return null
    case 'array':
      return 'items' in schema ? [example(schema['items'], depth + 1)] : []
    default:
      return fields(schema, depth)
  }
}

function fields(schema: Readonly<Record<string, unknown>>, depth: number): unknown {
  const properties = schema['properties']
  if (!isObject(properties)) return {}
  return Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, example(inner, depth + 1)]))
}

/** Zero where the bounds let it in, else the bound that is nearest to it. */
function exampleNumber(schema: Readonly<Record<string, unknown>>): number {
  const bound = (name: string): number | null => (typeof schema[name] === 'number' ? schema[name] : null)
  const [above, below] = [bound('exclusiveMinimum'), bound('exclusiveMaximum')]
  const low = bound('minimum') ?? (above === null ? -Infinity : above + 1)
  const high = bound('maximum') ?? (below === null ? Infinity : below - 1)
  return low > 0 ? low : high < 0 ? high : 0
}

function exampleText(format: unknown): string {
  if (format === 'date-time') return '2026-01-31T12:00:00Z'
  if (format === 'date') return '2026-01-31'
  if (format === 'uuid') return '00000000-0000-4000-8000-000000000000'
  return ''
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
