/** JSON whose numbers keep every digit that was sent: 1.10 stays 1.10, a bigint stays what it is. */

/** What ECMAScript has and this compiler's library does not know yet. */
const raw = JSON as unknown as {
  rawJSON(text: string): object
  isRawJSON(value: unknown): boolean
}

/** A number that a double would write differently is held as its text, which JSON.stringify writes as it stands. */
export function parseExact(text: string): unknown {
  return JSON.parse(text, (_, value: unknown, context?: { source?: string }) => {
    const source = context?.source
    return typeof value === 'number' && source !== undefined && source !== String(value) ? raw.rawJSON(source) : value
  })
}

export const isNumber = (value: unknown): boolean => typeof value === 'number' || raw.isRawJSON(value)
