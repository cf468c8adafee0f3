/** `MetricsData` of OpenTelemetry's protocol, version 1: what clients of KIP-714 push. Gauges, sums and histograms. */
import {
  type ProtoField,
  doubleOf,
  protoBytes,
  protoDouble,
  protoFields,
  protoFixed64s,
  protoNumber,
  protoText,
} from './protobuf.ts'

export type Attributes = readonly (readonly [name: string, value: string])[]
export interface Point {
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'histogram'
  /** It says what came since the last one. */
  readonly isDelta: boolean
  readonly attributes: Attributes
  /** Of a histogram: the sum. */
  readonly value: number
  readonly histogram: Histogram | null
}
export interface Histogram {
  readonly count: number
  /** Upper bounds, ascending; one count more than bounds. */
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

/** Each point in its order, with the attributes of its resource before its own. Throws Fault wire.malformed. */
export function* metricPoints(bytes: Uint8Array): Iterable<Point> {
  for (const resource of protoFields(bytes)) if (resource.number === 1) yield* resourcePoints(protoBytes(resource))
}
function* resourcePoints(bytes: Uint8Array): Iterable<Point> {
  const attributes: [string, string][] = []
  for (const field of protoFields(bytes))
    if (field.number === 1)
      for (const inner of protoFields(protoBytes(field))) if (inner.number === 1) attributes.push(attributeOf(inner))
  for (const scope of protoFields(bytes))
    if (scope.number === 2)
      for (const metric of protoFields(protoBytes(scope)))
        if (metric.number === 2) yield* pointsOf(protoBytes(metric), attributes)
}
const gauge = 5
const sum = 7
const histogram = 9
const delta = 1n

function* pointsOf(bytes: Uint8Array, common: Attributes): Iterable<Point> {
  let name = ''
  for (const field of protoFields(bytes)) if (field.number === 1) name = protoText(field)
  for (const field of protoFields(bytes)) {
    if (field.number !== gauge && field.number !== sum && field.number !== histogram) continue
    const data = protoBytes(field)
    let isDelta = false
    let isMonotonic = false
    for (const inner of protoFields(data)) {
      if (inner.number === 2) isDelta = protoNumber(inner) === delta
      if (inner.number === 3) isMonotonic = protoNumber(inner) !== 0n
    }
    const kind = field.number === histogram ? 'histogram' : isMonotonic && field.number === sum ? 'counter' : 'gauge'
    for (const point of protoFields(data)) {
      if (point.number !== 1) continue
      const found = kind === 'histogram' ? histogramPoint(protoBytes(point)) : numberPoint(protoBytes(point))
      if (found !== null) yield { name, kind, isDelta, ...found, attributes: [...common, ...found.attributes] }
    }
  }
}
type Found = Pick<Point, 'attributes' | 'value' | 'histogram'>
function numberPoint(bytes: Uint8Array): Found | null {
  const attributes: [string, string][] = []
  let value: number | null = null
  for (const field of protoFields(bytes)) {
    if (field.number === 4) value = protoDouble(field)
    else if (field.number === 6) value = Number(BigInt.asIntN(64, protoNumber(field)))
    else if (field.number === 7) attributes.push(attributeOf(field))
  }
  return value === null ? null : { attributes, value, histogram: null }
}
function histogramPoint(bytes: Uint8Array): Found | null {
  const attributes: [string, string][] = []
  const counts: number[] = []
  const bounds: number[] = []
  let count = 0
  let total = 0
  for (const field of protoFields(bytes)) {
    if (field.number === 4) count = Number(protoNumber(field))
    else if (field.number === 5) total = protoDouble(field)
    else if (field.number === 6) for (const one of protoFixed64s(field)) counts.push(Number(one))
    else if (field.number === 7) for (const one of protoFixed64s(field)) bounds.push(doubleOf(one))
    else if (field.number === 9) attributes.push(attributeOf(field))
  }
  // Without buckets there is one that holds all.
  if (counts.length === 0) counts.push(count)
  if (counts.length !== bounds.length + 1) return null
  return { attributes, value: total, histogram: { count, bounds, counts } }
}
function attributeOf(field: ProtoField): [string, string] {
  let name = ''
  let value = ''
  for (const part of protoFields(protoBytes(field)))
    if (part.number === 1) name = protoText(part)
    else if (part.number === 2) for (const inner of protoFields(protoBytes(part))) value = plain(inner)
  return [name, value]
}
function plain(field: ProtoField): string {
  switch (field.number) {
    case 1:
      return protoText(field)
    case 2:
      return String(protoNumber(field) !== 0n)
    case 3:
      return String(BigInt.asIntN(64, protoNumber(field)))
    case 4:
      return String(protoDouble(field))
    default:
      // Lists, maps and bytes are no labels.
      return ''
  }
}
