/**
 * The keyboard: single keys and sequences of two (`g t`), off while somebody types. A screen adds its own for as long as it
 * is shown.
 */
import { useLayoutEffect } from 'preact/hooks'

export interface KeyBinding {
  /** `/`, `?`, `g t`, `mod+k` (Ctrl or Cmd). */
  readonly keys: string
  readonly does: string
  readonly run: (event: KeyboardEvent) => void
}
const bindings = new Set<KeyBinding>()
let first = ''
let firstAt = 0

export const knownKeys = (): readonly KeyBinding[] => [...bindings]

/** From the moment in which the screen is shown. */
export function useKeys(own: readonly KeyBinding[], inputs: readonly unknown[] = []): void {
  useLayoutEffect(() => {
    for (const binding of own) bindings.add(binding)
    return () => {
      for (const binding of own) bindings.delete(binding)
    }
  }, inputs)
}

export function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

export function listenToKeys(): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return
    const mod = event.ctrlKey || event.metaKey
    if (!mod && (typing(event.target) || document.querySelector('dialog[open]') !== null)) return
    const key = mod ? `mod+${event.key.toLowerCase()}` : event.key
    const sequence = first !== '' && event.timeStamp - firstAt < 1200 ? `${first} ${key}` : ''
    first = ''
    const found = find(sequence) ?? find(key)
    if (found !== undefined) {
      event.preventDefault()
      found.run(event)
    } else if ([...bindings].some((b) => b.keys.startsWith(`${key} `))) {
      first = key
      firstAt = event.timeStamp
    }
  })
}

const find = (keys: string): KeyBinding | undefined =>
  keys === '' ? undefined : [...bindings].findLast((b) => b.keys === keys)
