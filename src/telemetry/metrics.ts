/**
 * Metrics, shown in Prometheus' text format 0.0.4. Lower layers get what they need of this as an argument. A label whose
 * values users make (topics, groups, views) is bounded: the first `limits.metricSeries` values get a series each, all
 * further ones share the value `(other)`; a series once shown stays, so no counter ever falls.
 */
import { assert } from '../lib/assert.ts'
import { limits } from '../lib/limits.ts'

export interface Spec<L extends string = never> {
  /** Ends in _total for a counter, in the unit otherwise (_seconds, _bytes). */
  readonly name: string
  readonly help: string
  readonly labels?: readonly L[]
}
export type Labels<L extends string> = Readonly<Record<L, string>>

export interface CounterMetric<L extends string> {
  add(labels: Labels<L>, count: number): void
  /** For a sum that is kept elsewhere. */
  set(labels: Labels<L>, total: number): void
}
export interface GaugeMetric<L extends string> {
  set(labels: Labels<L>, value: number): void
  /** Before values are set anew: what is gone shows no more. */
  clear(): void
}
export interface HistogramMetric<L extends string> {
  observe(labels: Labels<L>, value: number): void
}

export interface Metrics {
  counter<L extends string = never>(spec: Spec<L>): CounterMetric<L>
  gauge<L extends string = never>(spec: Spec<L>): GaugeMetric<L>
  histogram<L extends string = never>(spec: Spec<L> & { readonly buckets?: readonly number[] }): HistogramMetric<L>
  /** Called before each scrape, to bring gauges up to date. What it throws leaves its metrics as they were. */
  onScrape(call: () => void | Promise<void>): void
  /** Lines in the text format that are made elsewhere; whole metrics, whose names nothing here has. */
  onText(call: () => string): void
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** From a tenth of a millisecond (an append in memory) to ten seconds (a long fetch). */
const secondsBuckets = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const otherSeries = '(other)'
const contentType = 'text/plain; version=0.0.4; charset=utf-8'

export function openMetrics(): Metrics {
  const shown = new Map<string, { text(): string }>()
  const texts: (() => string)[] = []
  const collectors: (() => void | Promise<void>)[] = []
  const add = <M extends { text(): string }>({ name }: { readonly name: string }, metric: M): M => {
    assert(!shown.has(name), 'a metric is made once')
    shown.set(name, metric)
    return metric
  }
  return {
    counter: (spec) => add(spec, new Counter(spec)),
    gauge: (spec) => add(spec, new Gauge(spec)),
    histogram: (spec) => add(spec, new Histogram(spec, spec.buckets ?? secondsBuckets)),
    onScrape: (call) => void collectors.push(call),
    onText: (call) => void texts.push(call),
    async scrape() {
      await Promise.allSettled(collectors.map(async (call) => call()))
      const own = [...shown.values()].map((metric) => metric.text())
      return { contentType, text: [...own, ...texts.map((call) => call())].join('') }
    },
  }
}

/** The series of a metric by the values of its labels. One without labels is there from the start. */
class Family<L extends string, Series> {
  readonly #labels: readonly L[]
  readonly #fresh: () => Series
  readonly #shown = new Map<string, { readonly labels: string; readonly series: Series }>()
  #other: Series | null = null

  constructor(labels: readonly L[], fresh: () => Series) {
    this.#labels = labels
    this.#fresh = fresh
    this.clear()
  }
  of(labels: Labels<L>): Series {
    const key = this.#keyOf(labels)
    const known = this.#shown.get(key)
    if (known !== undefined) return known.series
    if (this.#shown.size >= limits.metricSeries) return (this.#other ??= this.#fresh())
    const series = this.#fresh()
    this.#shown.set(key, { labels: this.#written((name) => labels[name]), series })
    return series
  }
  clear(): void {
    this.#shown.clear()
    this.#other = null
    if (this.#labels.length === 0) this.#shown.set('', { labels: '', series: this.#fresh() })
  }
  /** Each with its labels as they are written: `a="1",b="2"`. */
  all(): { readonly labels: string; readonly series: Series }[] {
    const shown = [...this.#shown.values()]
    if (this.#other !== null) shown.push({ labels: this.#written(() => otherSeries), series: this.#other })
    return shown
  }
  /** Different for different values, whatever stands in them. */
  #keyOf(labels: Labels<L>): string {
    let key = ''
    for (const name of this.#labels) key += `${labels[name].length}:${labels[name]}`
    return key
  }
  #written(valueOf: (name: L) => string): string {
    return this.#labels.map((name) => `${name}="${escaped(valueOf(name))}"`).join(',')
  }
}

function head({ name, help }: Spec<string>, type: string): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
}
const line = (name: string, labels: string, value: number): string =>
  `${name}${labels === '' ? '' : `{${labels}}`} ${written(value)}\n`
const escaped = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
const written = (value: number): string =>
  Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'

class Counter<L extends string> implements CounterMetric<L> {
  readonly #spec: Spec<L>
  /** `seen` is the total of what is kept elsewhere, when it was last set. */
  readonly #family: Family<L, { value: number; seen: number }>

  constructor(spec: Spec<L>) {
    this.#spec = spec
    this.#family = new Family(spec.labels ?? [], () => ({ value: 0, seen: 0 }))
  }
  add(labels: Labels<L>, count: number): void {
    assert(count >= 0, 'a counter never falls')
    this.#family.of(labels).value += count
  }
  set(labels: Labels<L>, total: number): void {
    const series = this.#family.of(labels)
    series.value += Math.max(0, total - series.seen)
    series.seen = Math.max(total, series.seen)
  }
  text(): string {
    let text = head(this.#spec, 'counter')
    for (const { labels, series } of this.#family.all()) text += line(this.#spec.name, labels, series.value)
    return text
  }
}

class Gauge<L extends string> implements GaugeMetric<L> {
  readonly #spec: Spec<L>
  readonly #family: Family<L, { value: number }>

  constructor(spec: Spec<L>) {
    this.#spec = spec
    this.#family = new Family(spec.labels ?? [], () => ({ value: 0 }))
  }
  set(labels: Labels<L>, value: number): void {
    this.#family.of(labels).value = value
  }
  clear(): void {
    this.#family.clear()
  }
  text(): string {
    let text = head(this.#spec, 'gauge')
    for (const { labels, series } of this.#family.all()) text += line(this.#spec.name, labels, series.value)
    return text
  }
}

class Histogram<L extends string> implements HistogramMetric<L> {
  readonly #spec: Spec<L>
  readonly #bounds: readonly number[]
  /** One count more than there are bounds: of what is above them all. */
  readonly #family: Family<L, { readonly counts: number[]; sum: number }>

  constructor(spec: Spec<L>, bounds: readonly number[]) {
    this.#spec = spec
    this.#bounds = bounds
    this.#family = new Family(spec.labels ?? [], () => ({ counts: [...bounds, 0].map(() => 0), sum: 0 }))
  }
  observe(labels: Labels<L>, value: number): void {
    const series = this.#family.of(labels)
    let at = 0
    while (at < this.#bounds.length && value > this.#bounds[at]!) at++
    series.counts[at]!++
    series.sum += value
  }
  text(): string {
    const { name } = this.#spec
    let text = head(this.#spec, 'histogram')
    for (const { labels, series } of this.#family.all()) {
      const { counts, sum } = series
      const others = labels === '' ? '' : `,${labels}`
      let below = 0
      counts.forEach((count, i) => {
        below += count
        text += line(`${name}_bucket`, `le="${written(this.#bounds[i] ?? Infinity)}"${others}`, below)
      })
      text += line(`${name}_sum`, labels, sum) + line(`${name}_count`, labels, below)
    }
    return text
  }
}
