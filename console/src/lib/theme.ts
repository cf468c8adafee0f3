/** Light or dark as the system says, unless chosen here; the choice stays in this browser. */
import { signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'
const stored = (): Theme => {
  const text = read('millrace.theme')
  return text === 'light' || text === 'dark' ? text : 'system'
}
export const theme = signal<Theme>(stored())

export function applyTheme(): void {
  if (theme.value === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme.value
}

/** system → the opposite of what the system shows → back to system. */
export function toggleTheme(): void {
  const systemDark = matchMedia('(prefers-color-scheme: dark)').matches
  theme.value = theme.value === 'system' ? (systemDark ? 'light' : 'dark') : 'system'
  write('millrace.theme', theme.value)
  applyTheme()
}

/** Storage may be forbidden: then the choice lasts as long as the page. */
export function read(name: string): string | null {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}
export function write(name: string, value: string): void {
  try {
    localStorage.setItem(name, value)
  } catch {
    // Kept in memory only.
  }
}
