import { isNumber } from './exact-json.ts'

/** Data goes to standard output in the form asked for; everything else goes to standard error. */
export const outputFormats = ['table', 'json', 'jsonl', 'yaml', 'none'] as const
export type OutputFormat = (typeof outputFormats)[number]
type Row = Readonly<Record<string, unknown>>

/** A list of things alike. */
export function printRows(format: OutputFormat, rows: readonly Row[], columns?: readonly string[]): void {
  switch (format) {
    case 'none':
      return
    case 'json':
      return write(JSON.stringify(rows, jsonValue, 2))
    case 'jsonl':
      for (const row of rows) write(JSON.stringify(row, jsonValue))
      return
    case 'yaml':
      return write(rows.length === 0 ? '[]' : rows.map((row) => yamlItem(row)).join('\n'))
    case 'table':
      return write(table(rows, columns ?? Object.keys(rows[0] ?? {})))
  }
}

/** One thing. */
export function printOne(format: OutputFormat, row: Row): void {
  switch (format) {
    case 'none':
      return
    case 'json':
      return write(JSON.stringify(row, jsonValue, 2))
    case 'jsonl':
      return write(JSON.stringify(row, jsonValue))
    case 'yaml':
      return write(yamlFields(row, ''))
    case 'table': {
      const rows = Object.entries(row).map(([name, value]) => ({ name, value }))
      return write(table(rows, ['name', 'value'], false))
    }
  }
}

/** One of a stream of things, as it comes. */
export function printNext(format: OutputFormat, row: Row, asText: () => string): void {
  if (format === 'none') return
  write(format === 'table' ? asText() : JSON.stringify(row, jsonValue))
}

function write(text: string): void {
  if (text !== '') process.stdout.write(text + '\n')
}
const jsonValue = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value)

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'object') return printable(JSON.stringify(value, jsonValue))
  return printable(String(value as string | number | boolean | bigint))
}
/** Control characters of a record must not reach the terminal. */
export const printable = (text: string): string =>
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)

function table(rows: readonly Row[], columns: readonly string[], heading = true): string {
  const cells = rows.map((row) => columns.map((column) => cell(row[column])))
  if (heading) cells.unshift(columns.map(headline))
  const widths = columns.map((_, i) => Math.max(0, ...cells.map((line) => line[i]!.length)))
  const numeric = columns.map((column) => rows.length > 0 && rows.every((row) => isNumber(row[column])))
  return cells
    .map((line) =>
      line
        .map((text, i) => (numeric[i] === true ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** `recordsPerSecond` is read as RECORDS PER SECOND. */
const headline = (column: string): string => printable(column.replaceAll(/([a-z])(?=[A-Z])/g, '$1 ').toUpperCase())

function yamlItem(row: Row): string {
  return `- ${yamlFields(row, '  ').trimStart()}`
}
function yamlFields(row: Row, indent: string): string {
  // JSON is YAML: keys and values that need quotes are written as JSON.
  return Object.entries(row)
    .map(
      ([name, value]) =>
        `${indent}${/^[A-Za-z_][\w.-]*$/.test(name) ? name : JSON.stringify(name)}: ${JSON.stringify(value ?? null, jsonValue)}`,
    )
    .join('\n')
}
