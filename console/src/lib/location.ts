/** Where the console is, as a signal; the address is the one owner of what a view shows. */
import { computed, signal } from '@preact/signals'
import { formatRoute, parseRoute } from './route.ts'
import type { Query } from './route.ts'

const here = (): string => location.pathname + location.search + location.hash

export const route = signal(parseRoute(here()))

/** The path as one text: changes only when another place is shown, not with its filters. */
export const place = computed(() => route.value.path.join('\n'))

/** Follows Back, Forward and links; an address in the form `#/…` becomes the plain one. */
export function followAddress(): void {
  const read = (): void => {
    route.value = parseRoute(here())
    if (location.hash.startsWith('#/')) history.replaceState(null, '', formatRoute(route.value.path, route.value.query))
  }
  read()
  addEventListener('popstate', read)
  addEventListener('hashchange', read)
  document.addEventListener('click', (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return
    const link = event.target instanceof Element ? event.target.closest('a') : null
    const address = link?.getAttribute('href') ?? ''
    if (!address.startsWith('/')) return
    event.preventDefault()
    open(address)
  })
}

function open(address: string): void {
  if (address !== here()) history.pushState(null, '', address)
  route.value = parseRoute(address)
}

export const go = (path: readonly string[], query: Query = {}): void => open(formatRoute(path, query))

/** Values of this view's address; an empty one is taken out. `push` makes a step that Back undoes. */
export function setQuery(changes: Readonly<Record<string, string>>, push = false): void {
  const address = formatRoute(route.value.path, { ...route.value.query, ...changes })
  if (push) return open(address)
  if (address !== here()) history.replaceState(null, '', address)
  route.value = parseRoute(address)
}

export const param = (name: string, otherwise = ''): string => route.value.query[name] ?? otherwise
