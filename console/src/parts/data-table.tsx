/**
 * A table of any length: only the rows in sight stand in the document. All rows are equally high. Arrow keys, j and k move,
 * Enter opens, a click on a heading sorts.
 */
import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from '@tanstack/virtual-core'
import type { ComponentChildren, RefObject } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useNarrow } from '../lib/hooks.ts'

export interface Column<T> {
  readonly id: string
  readonly title: string
  /** A track of the grid: `120px`, `minmax(160px, 1fr)`. Its px are the least it gets: rows share no grid, so it must not depend on what a cell holds. */
  readonly width: string
  readonly numeric?: boolean
  /** Left out on a telephone: what the row says elsewhere, or what opening it shows. */
  readonly wide?: boolean
  readonly cell: (row: T) => ComponentChildren
  /** What it is sorted by; a column without cannot be. */
  readonly sort?: (row: T) => string | number | null
  readonly cellClass?: (row: T) => string
}
interface Props<T> {
  readonly label: string
  readonly columns: readonly Column<T>[]
  readonly rows: readonly T[]
  readonly idOf: (row: T) => string
  /** `name` ascending, `-name` descending, '' as they come. */
  readonly sort?: string
  readonly onSort?: (sort: string) => void
  readonly onOpen?: (row: T) => void
  readonly selected?: string | null
  readonly rowClass?: (row: T) => string
  readonly empty: ComponentChildren
}
const rowPx = 28

export function sorted<T>(rows: readonly T[], columns: readonly Column<T>[], sort: string): readonly T[] {
  const descending = sort.startsWith('-')
  const by = columns.find((c) => c.id === sort.replace(/^-/, ''))?.sort
  if (by === undefined) return rows
  const keyed = rows.map((row) => ({ row, key: by(row) }))
  keyed.sort((a, b) => (descending ? compare(b.key, a.key) : compare(a.key, b.key)))
  return keyed.map(({ row }) => row)
}

const collator = new Intl.Collator('en', { numeric: true })
function compare(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1
  return typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b))
}

function useVirtual(
  count: number,
  scroller: RefObject<HTMLDivElement | null>,
): Virtualizer<HTMLDivElement, HTMLDivElement> {
  const [, render] = useState(0)
  const held = useRef<Virtualizer<HTMLDivElement, HTMLDivElement> | null>(null)
  const options = {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    overscan: 12,
    scrollPaddingStart: rowPx,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => render((n) => n + 1),
  }
  held.current ??= new Virtualizer(options)
  const virtualizer = held.current
  virtualizer.setOptions(options)
  useLayoutEffect(() => virtualizer._didMount(), [virtualizer])
  useLayoutEffect(() => virtualizer._willUpdate())
  return virtualizer
}

export function DataTable<T>(props: Props<T>) {
  const { idOf, onOpen } = props
  const narrow = useNarrow()
  const columns = narrow ? props.columns.filter((c) => c.wide !== true) : props.columns
  const scroller = useRef<HTMLDivElement>(null)
  // Scrolling renders this alone: the order is made anew only when what is ordered changes.
  const rows = useMemo(
    () => sorted(props.rows, props.columns, props.sort ?? ''),
    [props.rows, props.columns, props.sort],
  )
  const virtualizer = useVirtual(rows.length, scroller)
  const [active, setActive] = useState<string | null>(null)
  const current = props.selected ?? active
  const at = current === null ? -1 : rows.findIndex((row) => idOf(row) === current)
  const move = (to: number): void => {
    const row = rows[Math.max(0, Math.min(to, rows.length - 1))]
    if (row === undefined) return
    setActive(idOf(row))
    virtualizer.scrollToIndex(rows.indexOf(row))
    if (props.selected !== undefined && props.selected !== null) onOpen?.(row)
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      (event.target instanceof HTMLElement && event.target.tagName === 'INPUT')
    )
      return
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? rowPx) / rowPx) - 2)
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      Home: 0,
      End: rows.length - 1,
      PageDown: at + page,
      PageUp: at - page,
    }
    const to = steps[event.key]
    const row = rows[at]
    if (to !== undefined) move(to)
    else if (event.key === 'Enter' && row !== undefined && event.target === scroller.current) onOpen?.(row)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const template = columns.map((c) => c.width).join(' ')
  const minWidth = columns.reduce((sum, c) => sum + Number(/(\d+)px/.exec(c.width)?.[1] ?? 80), 0)
  const activeId = at >= 0 ? `${props.label}-${at}`.replaceAll(' ', '-') : undefined
  return (
    <div
      class="table"
      role="grid"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      aria-activedescendant={activeId}
      tabIndex={0}
      ref={scroller}
      onKeyDown={onKeyDown}
      style={{ '--columns': template, '--table-min': `${minWidth}px` }}
    >
      <Head columns={columns} sort={props.sort ?? ''} onSort={props.onSort} />
      {rows.length === 0 && (
        <div class="table-empty" role="rowgroup">
          <div role="row">
            <div role="gridcell">{props.empty}</div>
          </div>
        </div>
      )}
      <div class="table-body" role="rowgroup" style={{ height: `${virtualizer.getTotalSize()}px` }}>
        {virtualizer.getVirtualItems().map((item) => {
          const row = rows[item.index]
          if (row === undefined) return null
          const id = idOf(row)
          return (
            <div
              key={id}
              id={item.index === at ? activeId : undefined}
              class={`table-row ${props.rowClass?.(row) ?? ''}`}
              role="row"
              aria-rowindex={item.index + 2}
              aria-selected={item.index === at}
              style={{ transform: `translateY(${item.start}px)` }}
              onClick={(event) => {
                if (event.target instanceof Element && event.target.closest('a, button') !== null) return
                if (String(getSelection()) !== '') return
                setActive(id)
                onOpen?.(row)
              }}
            >
              {columns.map((c) => (
                <div
                  key={c.id}
                  role="gridcell"
                  class={`${c.numeric === true ? 'cell numeric' : 'cell'} ${c.cellClass?.(row) ?? ''}`}
                >
                  {c.cell(row)}
                </div>
              ))}
            </div>
          )
        })}
      </div>
    </div>
  )
}

function Head<T>({
  columns,
  sort,
  onSort,
}: {
  readonly columns: readonly Column<T>[]
  readonly sort: string
  readonly onSort: ((sort: string) => void) | undefined
}) {
  const order = (c: Column<T>): 'ascending' | 'descending' | undefined =>
    sort === c.id ? 'ascending' : sort === `-${c.id}` ? 'descending' : undefined
  // Numbers begin with the largest; a third click takes the order away.
  const next = (c: Column<T>): string => {
    const [firstOrder, second] = c.numeric === true ? [`-${c.id}`, c.id] : [c.id, `-${c.id}`]
    return sort === firstOrder ? second : sort === second ? '' : firstOrder
  }
  return (
    <div class="table-head" role="rowgroup">
      <div role="row" class="table-headings">
        {columns.map((c) => (
          <div
            key={c.id}
            role="columnheader"
            aria-sort={order(c)}
            class={c.numeric === true ? 'heading numeric' : 'heading'}
          >
            {c.sort !== undefined && onSort !== undefined ? (
              <button type="button" onClick={() => onSort(next(c))}>
                {c.numeric !== true && c.title}
                <span class="sort-mark" aria-hidden="true">
                  {order(c) === 'ascending' ? '↑' : order(c) === 'descending' ? '↓' : ''}
                </span>
                {c.numeric === true && c.title}
              </button>
            ) : (
              c.title
            )}
          </div>
        ))}
      </div>
    </div>
  )
}

/** Makes the table of a screen the place where keys go. */
export function useTableFocus(): void {
  useEffect(() => {
    if (document.activeElement === document.body)
      document.querySelector<HTMLElement>('.table')?.focus({ preventScroll: true })
  }, [])
}
