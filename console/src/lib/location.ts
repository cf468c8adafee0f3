/** Where the console is, as a signal; the address is the one owner of what a view shows. */
import { computed, signal } from '@preact/signals'
import { formatRoute, parseRoute } from './route.ts'
import type { Query } from './route.ts'

export const route = signal(parseRoute(location.hash))
addEventListener('hashchange', () => {
  route.value = parseRoute(location.hash)
})

/** The path as one text: changes only when another place is shown, not with its filters. */
export const place = computed(() => route.value.path.join('\n'))

export function go(path: readonly string[], query: Query = {}): void {
  location.hash = formatRoute(path, query)
}

/** Values of this view's address; an empty one is taken out. `push` makes a step that Back undoes. */
export function setQuery(changes: Readonly<Record<string, string>>, push = false): void {
  const query = { ...route.value.query, ...changes }
  const address = formatRoute(route.value.path, query)
  if (address === location.hash) return
  if (push) location.hash = address
  else history.replaceState(null, '', address)
  route.value = parseRoute(address)
}

export const param = (name: string, otherwise = ''): string => route.value.query[name] ?? otherwise
