/** A search field that `/` reaches and Escape leaves. */
import { useRef } from 'preact/hooks'
import { useKeys } from '../lib/keys.ts'
import { Icon } from './icon.tsx'

export function focusAll(input: HTMLInputElement | null): void {
  input?.focus()
  input?.select()
}

export function FilterBox({
  label,
  value,
  onInput,
}: {
  readonly label: string
  readonly value: string
  readonly onInput: (text: string) => void
}) {
  const input = useRef<HTMLInputElement>(null)
  useKeys([{ keys: '/', does: label, run: () => focusAll(input.current) }])
  return (
    <div class="filter-box">
      <Icon name="search" />
      <input
        ref={input}
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape' && event.key !== 'Enter' && event.key !== 'ArrowDown') return
          event.preventDefault()
          document.querySelector<HTMLElement>('.table')?.focus()
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  )
}
