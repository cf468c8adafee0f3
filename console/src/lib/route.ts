/**
 * Addresses of the console: `#/topics/purchases?tab=records&where=amount%20%3E%20100`. They live behind the hash, so the
 * console works under any path that a proxy gives it, and the server needs no rewriting rule.
 */
export type Query = Readonly<Record<string, string>>
export interface Route {
  readonly path: readonly string[]
  readonly query: Query
}

/** Any text is an address: what cannot be decoded is taken as it stands. */
export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#/, '')
  const mark = text.indexOf('?')
  const path = (mark < 0 ? text : text.slice(0, mark)).split('/').filter((part) => part !== '')
  const query: Record<string, string> = Object.create(null) as Record<string, string>
  if (mark >= 0) for (const [name, value] of new URLSearchParams(text.slice(mark + 1))) query[name] = value
  return { path: path.map(decode), query }
}

/** Empty values are left out: the default needs no mention. */
export function formatRoute(path: readonly string[], query: Query = {}): string {
  const params = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''))
  const tail = params.size > 0 ? `?${params.toString()}` : ''
  return `#/${path.map(encodeURIComponent).join('/')}${tail}`
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
