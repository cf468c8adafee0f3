/** A key, value or header in full: JSON in colours, text, or bytes. Only ever as text nodes. */
import { useState } from 'preact/hooks'
import type { Payload } from '../../../src/gateway/http/api.ts'
import { printJson } from '../lib/json.ts'
import { bytesOf, hexDump, textOf } from '../lib/payload.ts'
import { bytes as sizeText } from '../lib/format.ts'
import { Button } from './bits.tsx'

export type PayloadForm = 'json' | 'text' | 'hex'

export function JsonView({ value }: { readonly value: unknown }) {
  const [charsMax, setCharsMax] = useState(60_000)
  const { tokens, cut } = printJson(value, charsMax)
  return (
    <>
      <pre class="code">
        {tokens.map((t, i) =>
          t.kind === 'punctuation' ? (
            t.text
          ) : (
            <span key={i} class={`j-${t.kind}`}>
              {t.text}
            </span>
          ),
        )}
        {cut && '…'}
      </pre>
      {cut && <Button onClick={() => setCharsMax(charsMax * 20)}>Show more</Button>}
    </>
  )
}

export function PayloadView({
  payload,
  form,
  exact,
}: {
  readonly payload: Payload
  readonly form: PayloadForm
  /** The stored bytes, where they were fetched. */ readonly exact?: Payload
}) {
  if (payload === null) return <p class="null">null</p>
  if (form === 'hex') return <HexView payload={exact ?? payload} known={'base64' in (exact ?? payload)} />
  if (form === 'json' && 'json' in payload) return <JsonView value={payload.json} />
  return <pre class="code wrap">{textOf(exact !== undefined && exact !== null ? exact : payload)}</pre>
}

function HexView({ payload, known }: { readonly payload: Payload; readonly known: boolean }) {
  if (payload === null) return <p class="null">null</p>
  const bytes = bytesOf(payload)
  const { lines, cut } = hexDump(bytes)
  return (
    <>
      <pre class="code">{lines.join('\n')}</pre>
      <p class="muted small">
        {sizeText(bytes.length)}
        {cut && ', the first 16 kB shown'}
        {!known && '; blanks between tokens may differ from what is stored'}
      </p>
    </>
  )
}

export const naturalForm = (payload: Payload): PayloadForm =>
  payload === null || 'json' in payload ? 'json' : 'text' in payload ? 'text' : 'hex'
