/** Asks before something is dropped; a refusal is shown and the question stays. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { request } from '../lib/http.ts'
import { setQuery } from '../lib/location.ts'
import { asApiError } from '../lib/problem.ts'
import type { ApiError } from '../lib/problem.ts'
import { Button, Dialog } from './bits.tsx'
import { ProblemBox } from './problem.tsx'

interface Props {
  readonly title: string
  /** What is asked to go, by DELETE. */
  readonly url: string
  readonly onDropped: () => void
  readonly children: ComponentChildren
}

export function DropDialog({ title, url, onDropped, children }: Props) {
  const [error, setError] = useState<ApiError | null>(null)
  const close = (): void => setQuery({ open: '' })
  const drop = async (): Promise<void> => {
    try {
      await request(url, { method: 'DELETE' })
      onDropped()
    } catch (thrown) {
      setError(asApiError(thrown))
    }
  }
  return (
    <Dialog title={title} onClose={close}>
      {children}
      {error !== null && <ProblemBox error={error} />}
      <footer class="form-end">
        <Button onClick={close}>Cancel</Button>
        <Button kind="danger" onClick={() => void drop()}>
          Drop
        </Button>
      </footer>
    </Dialog>
  )
}
