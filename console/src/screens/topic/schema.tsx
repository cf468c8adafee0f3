/** What values of a topic must be, and what happens to those that are not. */
import { useState } from 'preact/hooks'
import type { TopicDetail } from '../../../../src/gateway/http/api.ts'
import { apiUrl, request } from '../../lib/http.ts'
import { asApiError } from '../../lib/problem.ts'
import type { ApiError } from '../../lib/problem.ts'
import { param, setQuery } from '../../lib/location.ts'
import { Button, Copy, Empty, Facts, Field, Link } from '../../parts/bits.tsx'
import { JsonView } from '../../parts/payload.tsx'
import { ProblemBox } from '../../parts/problem.tsx'
import { printJson } from '../../lib/json.ts'

const outcomes = {
  custom: 'is refused over HTTP and SQL, kept in quarantine from Kafka',
  reject: 'is refused',
  quarantine: 'is kept in quarantine',
  null: 'is let in; views read NULL',
} as const

const textOfSchema = (schema: unknown): string =>
  printJson(schema)
    .tokens.map((t) => t.text)
    .join('')

export function Schema({ topic, onChanged }: { readonly topic: TopicDetail; readonly onChanged: () => void }) {
  const none = topic.schema === null || topic.schema === undefined
  if (param('edit') === 'schema')
    return (
      <SchemaForm
        topic={topic}
        onDone={() => {
          setQuery({ edit: '' })
          onChanged()
        }}
      />
    )
  return (
    <div class="schema">
      <div class="toolbar">
        <Button onClick={() => setQuery({ edit: 'schema' }, true)}>{none ? 'Give a schema' : 'Change'}</Button>
        {!none && <Copy text={textOfSchema(topic.schema)} label="Copy the schema" />}
      </div>
      {none ? (
        <Empty title="Any value is taken." />
      ) : (
        <>
          <Facts
            of={[
              ['A value that does not fit', outcomes[topic.onInvalid ?? 'custom']],
              ['Key', topic.keyField === null ? 'as given' : `the field ${topic.keyField}`],
            ]}
          />
          {(topic.onInvalid === 'quarantine' || topic.onInvalid === null) && (
            <p>
              <Link to={['topics', `${topic.name}.quarantine`]}>{topic.name}.quarantine</Link>
            </p>
          )}
          <JsonView value={topic.schema} />
        </>
      )}
    </div>
  )
}

function SchemaForm({ topic, onDone }: { readonly topic: TopicDetail; readonly onDone: () => void }) {
  const [text, setText] = useState(
    topic.schema === null || topic.schema === undefined
      ? '{\n  "type": "object",\n  "properties": {\n    \n  }\n}'
      : textOfSchema(topic.schema),
  )
  const [onInvalid, setOnInvalid] = useState<keyof typeof outcomes>(topic.onInvalid ?? 'custom')
  const [keyField, setKeyField] = useState(topic.keyField ?? '')
  const [error, setError] = useState<ApiError | null>(null)
  const save = async (): Promise<void> => {
    try {
      JSON.parse(text)
      // The text goes as it was typed: its numbers are not ours to round.
      const body = `{"schema":${text},"onInvalid":${JSON.stringify(onInvalid === 'custom' ? null : onInvalid)},"keyField":${JSON.stringify(keyField === '' ? null : keyField)}}`
      await request(apiUrl(['topics', topic.name]), {
        method: 'PATCH',
        body,
        headers: { 'content-type': 'application/json' },
      })
      onDone()
    } catch (thrown) {
      setError(asApiError(thrown))
    }
  }
  return (
    <form
      class="form wide-form"
      onSubmit={(event) => {
        event.preventDefault()
        void save()
      }}
    >
      <Field label="JSON Schema">
        <textarea
          class="code-input"
          rows={16}
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
          spellcheck={false}
        />
      </Field>
      <Field label="A value that does not fit">
        <select value={onInvalid} onChange={(e) => setOnInvalid(e.currentTarget.value as keyof typeof outcomes)}>
          {Object.entries(outcomes).map(([value, says]) => (
            <option key={value} value={value}>
              {says}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Key field" hint="The field of the value that the key is taken from; empty: as given.">
        <input value={keyField} onInput={(e) => setKeyField(e.currentTarget.value)} spellcheck={false} />
      </Field>
      {error !== null && <ProblemBox error={error} />}
      <footer class="form-end">
        <Button onClick={() => setQuery({ edit: '' })}>Cancel</Button>
        <Button kind="primary" submit>
          Save
        </Button>
      </footer>
    </form>
  )
}
