/**
 * An editor for SQL: a textarea, which every browser, keyboard and screen reader knows, over a coloured copy of its text.
 * Ctrl/Cmd-Enter runs. The line an error points to is marked.
 */
import { sqlTokens } from '../lib/sql-text.ts'

interface Props {
  readonly value: string
  readonly onInput: (value: string) => void
  readonly onRun: () => void
  readonly label: string
  readonly rows?: number
  readonly errorLine?: number | null
}

export function SqlEditor({ value, onInput, onRun, label, rows = 8, errorLine }: Props) {
  const lines = value.split('\n').length
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      onRun()
    }
  }
  return (
    <div class="editor" style={{ '--rows': Math.min(30, Math.max(rows, lines + 1)) }}>
      <div class="editor-inner" style={{ height: `calc(${Math.max(lines, 1)} * 1lh + 16px)` }}>
        <div class="editor-lines" aria-hidden="true">
          {Array.from({ length: lines }, (_, i) => (
            <span key={i} class={errorLine === i + 1 ? 'wrong' : ''}>
              {i + 1}
            </span>
          ))}
        </div>
        <pre class="editor-colours" aria-hidden="true">
          {sqlTokens(value).map((t, i) =>
            t.kind === 'other' ? (
              t.text
            ) : (
              <span key={i} class={`s-${t.kind}`}>
                {t.text}
              </span>
            ),
          )}
          {'\n'}
        </pre>
        <textarea
          class="editor-text"
          aria-label={label}
          value={value}
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          wrap="off"
          onInput={(event) => onInput(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
      </div>
    </div>
  )
}

/** SQL to read. */
export function SqlText({ sql }: { readonly sql: string }) {
  return (
    <pre class="code sql">
      {sqlTokens(sql).map((t, i) =>
        t.kind === 'other' ? (
          t.text
        ) : (
          <span key={i} class={`s-${t.kind}`}>
            {t.text}
          </span>
        ),
      )}
    </pre>
  )
}
