/** A list that a screen is about: what narrows it, how much of it is shown, and its table. Filter and order stand in the URL. */
import type { ComponentChildren } from 'preact'
import { count } from '../lib/format.ts'
import { param, setQuery } from '../lib/location.ts'
import type { ApiError } from '../lib/problem.ts'
import { DataTable, useTableFocus } from './data-table.tsx'
import type { Column } from './data-table.tsx'
import { FilterBox } from './filter-box.tsx'
import { ProblemBox } from './problem.tsx'

interface Props<T> {
  readonly label: string
  /** `topics`, said with their number; '' where it goes without saying. */
  readonly noun?: string
  /** null: not loaded yet. */
  readonly data: readonly T[] | null
  readonly error: ApiError | null
  readonly retry: () => void
  readonly filterLabel: string
  /** Whether a row is shown; the filter is in lower case. */
  readonly shows: (row: T, filter: string) => boolean
  /** Beside the filter. */
  readonly tools?: ComponentChildren
  readonly columns: readonly Column<T>[]
  readonly idOf: (row: T) => string
  readonly sort: string
  readonly onOpen: (row: T) => void
  readonly rowClass?: (row: T) => string
  /** In the table's place when it has no rows; `total`: how many there are that are not shown. */
  readonly empty: (total: number) => ComponentChildren
}

export function List<T>(props: Props<T>) {
  const { label, data, error, retry, filterLabel, shows, tools, noun = '' } = props
  const filter = param('filter')
  const rows = (data ?? []).filter((row) => shows(row, filter.toLowerCase()))
  useTableFocus()
  return (
    <>
      <div class="toolbar">
        <FilterBox label={filterLabel} value={filter} onInput={(text) => setQuery({ filter: text })} />
        {tools}
        <span class="muted toolbar-note" role="status">
          {data === null ? 'loading…' : `${howMany(rows.length, data.length)} ${noun}`.trimEnd()}
        </span>
      </div>
      {error !== null && <ProblemBox error={error} retry={retry} />}
      <DataTable
        label={label}
        columns={props.columns}
        rows={rows}
        idOf={props.idOf}
        sort={param('sort', props.sort)}
        onSort={(sort) => setQuery({ sort })}
        onOpen={props.onOpen}
        {...(props.rowClass === undefined ? {} : { rowClass: props.rowClass })}
        empty={data === null ? null : props.empty(data.length)}
      />
    </>
  )
}
const howMany = (shown: number, total: number): string =>
  shown === total ? count(total) : `${count(shown)} of ${count(total)}`
