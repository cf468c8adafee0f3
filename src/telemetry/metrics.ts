/**
 * Metrics by Prometheus' rules, over prom-client. Lower layers get what they need of this as an argument. A label whose
 * values users make (topics, groups, views) is bounded: the first `limits.metricSeries` values get a series each, all
 * further ones share the value `(other)`; a series once shown stays, so no counter ever falls.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
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

export function openMetrics(): Metrics {
  const registry = new Registry()
  const texts: (() => string)[] = []
  const collectors: (() => void | Promise<void>)[] = []
  const settings = <L extends string>({ name, help, labels = [] }: Spec<L>) => ({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
  })
  return {
    counter<L extends string>(spec: Spec<L>) {
      const counter = new Counter(settings(spec))
      const bound = new Bound()
      return {
        add: (labels: Labels<L>, count: number) => counter.inc(bound.place(labels), count),
        set(labels: Labels<L>, total: number) {
          const place = bound.place(labels)
          const child = counter.labels(place)
          child.inc(Math.max(0, total - bound.risen(place, total)))
        },
      }
    },
    gauge<L extends string>(spec: Spec<L>) {
      const gauge = new Gauge(settings(spec))
      let bound = new Bound()
      return {
        set: (labels: Labels<L>, value: number) => gauge.set(bound.place(labels), value),
        clear() {
          gauge.reset()
          bound = new Bound()
        },
      }
    },
    histogram<L extends string>(spec: Spec<L> & { readonly buckets?: readonly number[] }) {
      const histogram = new Histogram({ ...settings(spec), buckets: [...(spec.buckets ?? secondsBuckets)] })
      const bound = new Bound()
      return { observe: (labels: Labels<L>, value: number) => histogram.observe(bound.place(labels), value) }
    },
    onScrape: (call) => void collectors.push(call),
    onText: (call) => void texts.push(call),
    async scrape() {
      await Promise.allSettled(collectors.map(async (call) => call()))
      return {
        contentType: registry.contentType,
        text: [await registry.metrics(), ...texts.map((call) => call())].join(''),
      }
    },
  }
}

/** Which label sets have a series of their own. */
class Bound {
  readonly #shown = new Set<string>()
  readonly #totals = new Map<string, number>()

  place<L extends string>(labels: Labels<L>): Labels<L> {
    const id = JSON.stringify(labels)
    if (this.#shown.has(id)) return labels
    if (this.#shown.size < limits.metricSeries) {
      this.#shown.add(id)
      return labels
    }
    return Object.fromEntries(Object.keys(labels).map((name) => [name, otherSeries])) as Labels<L>
  }
  /** The total of this series when it was last set; remembers the new one. */
  risen(labels: Readonly<Record<string, string>>, total: number): number {
    const id = JSON.stringify(labels)
    const before = this.#totals.get(id) ?? 0
    this.#totals.set(id, Math.max(before, total))
    return before
  }
}
