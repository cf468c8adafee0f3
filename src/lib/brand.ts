/** Numbers that must not be mixed. A brand costs nothing at run time. */

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type TimeMs = number & { readonly __timeMs: true }
/** A place in one partition: an integer from 0 to 2^53 − 1. Grows, never dense. Compare it, keep it, hand it back. */
export type Offset = number & { readonly __offset: true }

export const timeMs = (value: number): TimeMs => value as TimeMs

export function offset(value: number): Offset {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an offset: ${value}`)
  return value as Offset
}
