/** Writes `MetricsData` of OpenTelemetry's protocol, as clients do. */
export interface Sample {
  readonly name: string
  readonly gauge?: number
  readonly counter?: number
  readonly isDelta?: boolean
  readonly histogram?: { readonly sum: number; readonly bounds: readonly number[]; readonly counts: readonly number[] }
  readonly attributes?: Readonly<Record<string, string | number | boolean>>
}
const varint = (value: number): number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)])
const message = (number: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(body.length)]), body])
}
const text = (number: number, value: string): Buffer => message(number, Buffer.from(value))
const number = (field: number, value: number): Buffer => Buffer.from([...varint(field * 8), ...varint(value)])
function double(field: number | null, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return field === null ? bytes : Buffer.concat([Buffer.from(varint(field * 8 + 1)), bytes])
}
function fixed(field: number | null, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(value))
  return field === null ? bytes : Buffer.concat([Buffer.from(varint(field * 8 + 1)), bytes])
}
function attribute(field: number, name: string, value: string | number | boolean): Buffer {
  const any =
    typeof value === 'string' ? text(1, value) : typeof value === 'number' ? number(3, value) : number(2, value ? 1 : 0)
  return message(field, text(1, name), message(2, any))
}
const attributes = (field: number, { attributes: of = {} }: Pick<Sample, 'attributes'>): Buffer[] =>
  Object.entries(of).map(([name, value]) => attribute(field, name, value))

function metric(sample: Sample): Buffer {
  const { name, gauge, counter, histogram, isDelta = false } = sample
  const parts = [text(1, name), text(2, 'about it')]
  const temporality = number(2, isDelta ? 1 : 2)
  if (gauge !== undefined) parts.push(message(5, message(1, fixed(3, 1), double(4, gauge), ...attributes(7, sample))))
  if (counter !== undefined)
    parts.push(
      message(7, message(1, fixed(3, 1), fixed(6, counter), ...attributes(7, sample)), temporality, number(3, 1)),
    )
  if (histogram !== undefined) {
    const { sum, bounds, counts } = histogram
    const total = counts.reduce((a, b) => a + b, 0)
    const point = message(
      1,
      fixed(4, total),
      double(5, sum),
      message(6, ...counts.map((count) => fixed(null, count))),
      message(7, ...bounds.map((bound) => double(null, bound))),
      ...attributes(9, sample),
    )
    parts.push(message(9, point, temporality))
  }
  return message(2, ...parts)
}
export const metricsData = (samples: readonly Sample[], resource: Sample['attributes'] = {}): Buffer =>
  message(1, message(1, ...attributes(1, { attributes: resource })), message(2, ...samples.map(metric)))
