/** One record in full: where it stands, its key, value and headers, as JSON, text or bytes. */
import type { Payload, RecordJson, RecordPage } from '../../../../src/gateway/http/api.ts'
import { apiUrl } from '../../lib/http.ts'
import { useResource } from '../../lib/hooks.ts'
import { textOf } from '../../lib/payload.ts'
import { time } from '../../lib/format.ts'
import { param, setQuery } from '../../lib/location.ts'
import { Button, Copy, Facts, Loading, Tabs } from '../../parts/bits.tsx'
import { PayloadView, naturalForm } from '../../parts/payload.tsx'
import type { PayloadForm } from '../../parts/payload.tsx'
import { ProblemBox } from '../../parts/problem.tsx'

const forms = [
  ['json', 'JSON'],
  ['text', 'Text'],
  ['hex', 'Bytes'],
] as const

function oneRecord(topic: string, id: string, exact: boolean): string {
  const [partition = '0', offset = '0'] = id.split(':')
  const query = { partition, from: `${partition}:${offset}`, limit: '1', ...(exact ? { bytes: 'true' } : {}) }
  return apiUrl(['topics', topic, 'records'], query)
}

export function RecordDetail({
  topic,
  id,
  known,
}: {
  readonly topic: string
  readonly id: string
  /** The record, where the list has it. */ readonly known: RecordJson | null
}) {
  const fetched = useResource<RecordPage>(known === null ? oneRecord(topic, id, false) : null)
  const record = known ?? fetched.data?.records.find((r) => `${r.partition}:${r.offset}` === id) ?? null
  const form = (param('form') || (record === null ? 'json' : naturalForm(record.value))) as PayloadForm
  // The bytes as stored: only asked for when they are looked at.
  const stored = useResource<RecordPage>(form === 'json' ? null : oneRecord(topic, id, true)).data?.records[0] ?? null
  return (
    <aside class="detail" aria-label={`Record ${id}`}>
      <header class="detail-head">
        <h2>
          Offset {id.split(':')[1]} <span class="muted">partition {id.split(':')[0]}</span>
        </h2>
        <Button kind="quiet" icon="close" title="Close the record" onClick={() => setQuery({ record: '' })} />
      </header>
      {fetched.error !== null && <ProblemBox error={fetched.error} />}
      {record === null &&
        fetched.error === null &&
        (fetched.data === null ? (
          <Loading what="the record" />
        ) : (
          <p class="muted">No record stands at this offset any more.</p>
        ))}
      {record !== null && (
        <>
          <Facts of={[['Time, UTC', time(record.timestamp)]]} />
          <WhyHere record={record} />
          <Tabs
            tabs={forms}
            current={form}
            onSelect={(next) => setQuery({ form: next === naturalForm(record.value) ? '' : next })}
          />
          <Part name="Key" payload={record.key} form={form} exact={stored?.key} />
          <Part name="Value" payload={record.value} form={form} exact={stored?.value} />
          <Headers record={record} form={form} stored={stored} />
        </>
      )}
    </aside>
  )
}

function Part({
  name,
  payload,
  form,
  exact,
}: {
  readonly name: string
  readonly payload: Payload
  readonly form: PayloadForm
  readonly exact: Payload | undefined
}) {
  return (
    <section class="part">
      <h3>
        {name} {payload !== null && <Copy text={textOf(payload)} label={`Copy the ${name.toLowerCase()}`} />}
      </h3>
      <PayloadView payload={payload} form={form} {...(exact === undefined ? {} : { exact })} />
    </section>
  )
}

function Headers({
  record,
  form,
  stored,
}: {
  readonly record: RecordJson
  readonly form: PayloadForm
  readonly stored: RecordJson | null
}) {
  if (record.headers.length === 0) return <p class="muted small">No headers.</p>
  return (
    <section class="part">
      <h3>Headers</h3>
      <dl class="headers">
        {record.headers.map((h, i) => (
          <div key={i}>
            <dt>{h.name}</dt>
            <dd>
              <PayloadView
                payload={h.value}
                form={form === 'json' ? naturalForm(h.value) : form}
                {...(stored?.headers[i] === undefined ? {} : { exact: stored.headers[i].value })}
              />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

/** A record that was set aside says so first. */
function WhyHere({ record }: { readonly record: RecordJson }) {
  const header = (name: string): string | null => {
    const value = record.headers.find((h) => h.name === name)?.value ?? null
    return value === null ? null : textOf(value)
  }
  const why = [header('mr-reason'), header('mr-error')].filter((text) => text !== null)
  if (why.length === 0) return null
  return (
    <p class="why-here" role="note">
      Set aside: {why.join(': ')}
    </p>
  )
}
