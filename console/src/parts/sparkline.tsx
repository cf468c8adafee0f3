/** A line of the last minutes, without axes: the number beside it says how much, the line says how it came. */
export function Sparkline({
  values,
  label,
  width = 120,
  height = 28,
}: {
  readonly values: readonly number[]
  readonly label: string
  readonly width?: number
  readonly height?: number
}) {
  const top = Math.max(...values, 1e-9) * 1.25
  const step = width / Math.max(1, values.length - 1)
  const points = values.map(
    (v, i) => `${(i * step).toFixed(1)},${(height - 1.5 - (v / top) * (height - 3)).toFixed(1)}`,
  )
  const line = points.length > 1 ? `M${points.join('L')}` : ''
  return (
    <svg class="sparkline" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {line !== '' && <path class="sparkline-area" d={`${line}L${width},${height}L0,${height}Z`} />}
      {line !== '' && <path class="sparkline-line" d={line} />}
    </svg>
  )
}
