/** uPlot, loaded when the first chart is shown, in the colours of the theme; follows its place's size. */
import type uPlot from 'uplot'
import { useEffect, useRef, useState } from 'preact/hooks'
import { theme } from '../lib/theme.ts'
import type { ChartData } from '../lib/series.ts'
import { compact, shortTime } from '../lib/format.ts'
import { Loading } from './bits.tsx'

type UPlot = typeof uPlot
let loaded: Promise<UPlot> | null = null
const load = (): Promise<UPlot> => (loaded ??= import('uplot').then((m) => m.default))

/** A colour of the theme as a canvas can use it: the property itself holds both themes' colours. */
function token(name: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}
/** 12:00, 12:00:05, and the day where it begins; days alone when a step is that long. */
function timeTick(seconds: number, before: number | undefined, step: number): string {
  const text = new Date(seconds * 1000).toISOString()
  const day = text.slice(0, 10)
  if (step >= 86_400) return day
  const clock = text.slice(11, step < 60 ? 19 : 16)
  const sameDay = before !== undefined && new Date(before * 1000).toISOString().startsWith(day)
  return sameDay ? clock : `${clock}\n${day}`
}
const lineColour = (index: number): string => token(`--line-${(index % 8) + 1}`)

function optionsFor(UPlot: UPlot, width: number, height: number, data: ChartData, labelY: string): uPlot.Options {
  const axis = {
    stroke: token('--muted'),
    grid: { stroke: token('--rule'), width: 1 },
    ticks: { show: false },
    font: '11px "IBM Plex Mono", monospace',
  }
  return {
    width,
    height,
    tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    cursor: { points: { size: 7 }, drag: { x: true, y: false } },
    legend: { show: false },
    scales: { x: { time: true }, y: { range: (_u, min, max) => [Math.min(0, min), max <= 0 ? 1 : max * 1.05] } },
    axes: [
      {
        ...axis,
        space: 76,
        values: (_u, ticks, _axis, _space, step) => ticks.map((tick, i) => timeTick(tick, ticks[i - 1], step)),
      },
      {
        ...axis,
        space: 44,
        label: labelY,
        labelSize: 18,
        labelFont: axis.font,
        size: 52,
        values: (_u, ticks) => ticks.map((v) => compact(v)),
      },
    ],
    series: [
      {},
      ...data.lines.map((line, i) => ({
        label: line.label,
        stroke: lineColour(i),
        width: 1.5,
        spanGaps: true,
        points: { show: data.x.length < 60, size: 4 },
        ...(data.lines.length === 1 ? { fill: token('--line-fill') } : {}),
      })),
    ],
  }
}

export function Chart({ data, labelY }: { readonly data: ChartData; readonly labelY: string }) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const latest = useRef(data)
  latest.current = data
  const [at, setAt] = useState<number | null>(null)
  const [UPlot, setUPlot] = useState<UPlot | null>(null)
  useEffect(() => {
    void load().then((m) => setUPlot(() => m))
  }, [])
  const shape = data.lines.map((l) => l.label).join('\n')
  const system = useSystemTheme()
  useEffect(() => {
    const element = place.current
    if (UPlot === null || element === null) return
    const { clientWidth, clientHeight } = element
    const options = optionsFor(UPlot, clientWidth, clientHeight, latest.current, labelY)
    options.hooks = { setCursor: [(u) => setAt(u.cursor.idx ?? null)] }
    const made = new UPlot(options, aligned(latest.current), element)
    plot.current = made
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    )
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = null
    }
  }, [UPlot, shape, labelY, theme.value, system])
  useEffect(() => plot.current?.setData(aligned(data)), [data])
  return (
    <figure class="chart" data-points={data.x.length}>
      <Legend data={data} at={at} />
      <div class="chart-place" ref={place}>
        {UPlot === null && <Loading what="the chart" />}
      </div>
    </figure>
  )
}

const aligned = (data: ChartData): uPlot.AlignedData =>
  [[...data.x], ...data.lines.map((l) => [...l.values])] as uPlot.AlignedData

/** Values under the cursor, or the last ones. */
function Legend({ data, at }: { readonly data: ChartData; readonly at: number | null }) {
  const index = at ?? data.x.length - 1
  const x = data.x[index]
  return (
    <figcaption class="legend">
      <span class="legend-time">{x === undefined ? '' : shortTime(new Date(x * 1000).toISOString())}</span>
      {data.lines.map((line, i) => (
        <span key={line.label} class={`legend-item line-${(i % 8) + 1}`}>
          <i aria-hidden="true" />
          {line.label}
          <b>{valueAt(line.values, index)}</b>
        </span>
      ))}
      {data.omitted > 0 && <span class="muted">and {data.omitted} smaller</span>}
    </figcaption>
  )
}

function valueAt(values: readonly (number | null)[], index: number): string {
  const value = values[index]
  if (value === null || value === undefined) return '–'
  return Math.abs(value) < 10_000 ? String(Math.round(value * 100) / 100) : compact(value)
}

function useSystemTheme(): boolean {
  const [dark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches)
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)')
    const changed = (): void => setDark(query.matches)
    query.addEventListener('change', changed)
    return () => query.removeEventListener('change', changed)
  }, [])
  return dark
}
