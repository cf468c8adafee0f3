/** Live rows in a table: a new row and a changed cell light up for a second. */
import type { Columns } from '../../../../src/schema/types.ts'
import { typeName } from '../../../../src/schema/types.ts'
import { cellText, ExactNumber } from '../../lib/json.ts'
import type { LiveRow } from '../../lib/keyed-rows.ts'
import { numericColumns, timeColumns } from '../../lib/series.ts'
import { shortTime } from '../../lib/format.ts'
import { DataTable } from '../../parts/data-table.tsx'
import type { Column } from '../../parts/data-table.tsx'
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'

const flashMs = 1100

export interface RowsTableProps {
  readonly label: string
  readonly columns: Columns
  readonly keyColumns: readonly string[]
  readonly rows: readonly LiveRow[]
  readonly sort: string
  readonly onSort: (sort: string) => void
  readonly hidden?: readonly string[]
  readonly selected?: string | null
  readonly onOpen?: (row: LiveRow) => void
  readonly empty: ComponentChildren
}

export function RowsTable(props: RowsTableProps) {
  const now = Date.now()
  const copies = props.rows.some((r) => r.copies > 1)
  const shown = props.columns.filter((c) => !(props.hidden ?? []).includes(c.name))
  const lengths = useRef(new Lengths())
  lengths.current.look(shown, props.rows)
  const columns = columnsOf(shown, props.keyColumns, now, lengths.current)
  const copiesColumn: Column<LiveRow> = {
    id: '×',
    title: '×',
    width: '64px',
    numeric: true,
    sort: (r) => r.copies,
    cell: (r) => r.copies,
  }
  return (
    <DataTable
      label={props.label}
      columns={copies ? [...columns, copiesColumn] : columns}
      rows={props.rows}
      idOf={(r) => r.id}
      sort={props.sort}
      onSort={props.onSort}
      {...(props.onOpen === undefined ? {} : { onOpen: props.onOpen, selected: props.selected ?? null })}
      rowClass={(r) => (r.columns === null && now - r.changedMs < flashMs ? `flash-${r.changedAt % 2}` : '')}
      empty={props.empty}
    />
  )
}

/** How long the texts of columns are, by a sample. Only ever grows: columns that move are hard to read. */
class Lengths {
  readonly #longest = new Map<string, number>()

  look(columns: Columns, rows: readonly LiveRow[]): void {
    for (const { name } of columns)
      for (const { row } of rows.slice(0, 60)) this.#grow(name, (cellText(row[name]) ?? 'NULL').length)
  }

  /** Numbers and times need no more than they have; texts share what is left by their length. */
  width(name: string, bounded: boolean): string {
    const length = Math.max(this.#longest.get(name) ?? 0, name.length + 2)
    const least = Math.round(Math.min(length, 26) * 7.4) + 22
    return bounded ? `minmax(${least}px, ${least}fr)` : `minmax(${least}px, ${Math.min(length, 90) * 12}fr)`
  }

  #grow(name: string, length: number): void {
    if (length > (this.#longest.get(name) ?? 0)) this.#longest.set(name, length)
  }
}

function columnsOf(columns: Columns, keyColumns: readonly string[], now: number, lengths: Lengths): Column<LiveRow>[] {
  const [numbers, times] = [new Set(numericColumns(columns)), new Set(timeColumns(columns))]
  return columns.map((c): Column<LiveRow> => {
    const numeric = numbers.has(c.name)
    return {
      id: c.name,
      title: c.name,
      width: lengths.width(c.name, numeric || times.has(c.name)),
      numeric,
      sort: (r) => sortValue(r.row[c.name]),
      cell: (r) => <Cell value={r.row[c.name]} isTime={times.has(c.name)} type={typeName(c.type)} />,
      cellClass: (r) =>
        `${keyColumns.includes(c.name) ? 'key-cell' : ''} ${(r.columns?.includes(c.name) ?? false) && now - r.changedMs < flashMs ? `flash-${r.changedAt % 2}` : ''}`,
    }
  })
}

function Cell({ value, isTime, type }: { readonly value: unknown; readonly isTime: boolean; readonly type: string }) {
  const text = cellText(value)
  if (text === null) return <span class="null">NULL</span>
  return (
    <span title={text.length > 20 ? text : type}>{isTime && typeof value === 'string' ? shortTime(value) : text}</span>
  )
}

function sortValue(value: unknown): string | number | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return value
  if (value instanceof ExactNumber) return Number(value.text)
  // Numeric columns may come as text, to lose nothing.
  if (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)) return Number(value)
  return cellText(value)
}
