/** Writes one record. Key and value go as the bytes of what was typed, so that nothing on the way changes them. */
import { useState } from 'preact/hooks'
import type { ProducedJson, TopicDetail } from '../../../../src/gateway/http/api.ts'
import { apiUrl, getJson } from '../../lib/http.ts'
import { asApiError, problemOf } from '../../lib/problem.ts'
import type { ApiError } from '../../lib/problem.ts'
import { exampleOf } from '../../lib/schema-example.ts'
import { setQuery } from '../../lib/location.ts'
import { Button, Dialog, Field } from '../../parts/bits.tsx'
import { ProblemBox } from '../../parts/problem.tsx'

const base64 = (text: string): { base64: string } => {
  const bytes = new TextEncoder().encode(text)
  return { base64: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) }
}

/** `name: value` lines. */
function readHeaders(text: string): { name: string; value: { base64: string } }[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const colon = line.indexOf(':')
      const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)]
      return { name: name.trim(), value: base64(value.trim()) }
    })
}

export function Produce({ topic, onClose }: { readonly topic: TopicDetail; readonly onClose: () => void }) {
  const [key, setKey] = useState('')
  const [value, setValue] = useState(() => exampleOf(topic.schema))
  const [json, setJson] = useState(true)
  const [isNull, setIsNull] = useState(false)
  const [headers, setHeaders] = useState('')
  const [partition, setPartition] = useState('')
  const [error, setError] = useState<ApiError | null>(null)
  const [written, setWritten] = useState<{ partition: number; offset: number } | null>(null)
  const wrongJson = json && !isNull ? jsonError(value) : null
  const send = async (): Promise<void> => {
    setError(null)
    setWritten(null)
    const record = {
      ...(key === '' ? {} : { key: base64(key) }),
      value: isNull ? null : base64(value),
      ...(headers.trim() === '' ? {} : { headers: readHeaders(headers) }),
      ...(partition === '' ? {} : { partition: Number(partition) }),
    }
    try {
      const answer = await getJson<ProducedJson>(apiUrl(['topics', topic.name, 'records']), {
        method: 'POST',
        body: JSON.stringify({ records: [record] }),
        headers: { 'content-type': 'application/vnd.millrace.records+json' },
      })
      const first = answer.records[0]
      if (first === undefined || 'fault' in first) setError(problemOf(400, JSON.stringify(first?.fault ?? {})))
      else setWritten(first)
    } catch (thrown) {
      setError(asApiError(thrown))
    }
  }
  return (
    <Dialog title={`Produce to ${topic.name}`} onClose={onClose} wide>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void send()
        }}
      >
        <div class="form-row">
          <Field label="Key" hint={topic.keyField === null ? 'Empty: none.' : `Empty: taken from ${topic.keyField}.`}>
            <input value={key} onInput={(e) => setKey(e.currentTarget.value)} spellcheck={false} autofocus />
          </Field>
          <Field label="Partition">
            <select value={partition} onChange={(e) => setPartition(e.currentTarget.value)}>
              <option value="">by key</option>
              {topic.partitionDetails.map((p) => (
                <option key={p.partition} value={String(p.partition)}>
                  {p.partition}
                </option>
              ))}
            </select>
          </Field>
        </div>
        <Field
          label="Value"
          hint={wrongJson ?? (topic.hasSchema ? 'Checked against the schema when it arrives.' : undefined)}
        >
          <textarea
            class="code-input"
            rows={9}
            value={value}
            disabled={isNull}
            onInput={(e) => setValue(e.currentTarget.value)}
            spellcheck={false}
            aria-invalid={wrongJson !== null}
          />
        </Field>
        <div class="form-row checks">
          <label class="check">
            <input type="checkbox" checked={json} onChange={(e) => setJson(e.currentTarget.checked)} />
            must be JSON
          </label>
          <label class="check">
            <input type="checkbox" checked={isNull} onChange={(e) => setIsNull(e.currentTarget.checked)} />
            null (deletes the key where the topic is compacted)
          </label>
        </div>
        <Field label="Headers" hint="One in a line, name: value">
          <textarea
            class="code-input"
            rows={2}
            value={headers}
            onInput={(e) => setHeaders(e.currentTarget.value)}
            spellcheck={false}
          />
        </Field>
        {error !== null && <ProblemBox error={error} text={value} />}
        {written !== null && (
          <p class="good-note" role="status">
            Written to partition {written.partition} at offset {written.offset}.{' '}
            <button
              type="button"
              class="link"
              onClick={() =>
                setQuery(
                  {
                    open: '',
                    tab: '',
                    live: '',
                    from: '',
                    where: '',
                    record: `${written.partition}:${written.offset}`,
                  },
                  true,
                )
              }
            >
              Show it
            </button>
          </p>
        )}
        <footer class="form-end">
          <Button onClick={onClose}>Close</Button>
          <Button kind="primary" icon="send" submit disabled={wrongJson !== null}>
            Send
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}

function jsonError(text: string): string | null {
  try {
    JSON.parse(text)
    return null
  } catch (thrown) {
    return `Not JSON: ${thrown instanceof Error ? thrown.message : 'it does not parse'}`
  }
}
