/** An error as a person can use it: what, where (with a caret under the place), and what to do. */
import type { ApiError } from '../lib/problem.ts'
import { caretOf } from '../lib/problem.ts'
import { Icon } from './icon.tsx'

export function ProblemBox({
  error,
  text,
  retry,
}: {
  readonly error: ApiError
  readonly text?: string
  readonly retry?: () => void
}) {
  const { problem } = error
  const caret = text === undefined ? null : caretOf(problem, text)
  return (
    <div class="problem" role="alert">
      <Icon name="warning" />
      <div class="problem-body">
        <p class="problem-what">{problem.detail || problem.title}</p>
        {caret !== null && (
          <pre class="caret" data-testid="caret">
            <span class="muted">{`${caret.number} │ `}</span>
            {caret.line}
            {'\n'}
            <span class="caret-mark">{`${' '.repeat(String(caret.number).length + 3 + caret.column - 1)}^`}</span>
          </pre>
        )}
        {problem.field !== undefined && (
          <p>
            In the field <code>{problem.field}</code>.
          </p>
        )}
        {problem.hint !== '' && <p class="muted">{problem.hint}</p>}
        <p class="problem-code">
          <code>{problem.code}</code>
          {retry !== undefined && (
            <button type="button" class="link" onClick={retry}>
              Try again
            </button>
          )}
        </p>
      </div>
    </div>
  )
}
