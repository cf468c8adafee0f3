/** The settings of a topic, changed one at a time. */
import { useState } from 'preact/hooks'
import type { TopicDetail } from '../../../../src/gateway/http/api.ts'
import { apiUrl, sendJson } from '../../lib/http.ts'
import { asApiError } from '../../lib/problem.ts'
import type { ApiError } from '../../lib/problem.ts'
import { Button, Empty } from '../../parts/bits.tsx'
import { ProblemBox } from '../../parts/problem.tsx'

export function Settings({ topic, onChanged }: { readonly topic: TopicDetail; readonly onChanged: () => void }) {
  const [error, setError] = useState<ApiError | null>(null)
  const [name, setName] = useState('')
  const [value, setValue] = useState('')
  const change = async (setting: string, to: string | null): Promise<boolean> => {
    try {
      await sendJson<TopicDetail>(apiUrl(['topics', topic.name]), 'PATCH', { config: { [setting]: to } })
      setError(null)
      onChanged()
      return true
    } catch (thrown) {
      setError(asApiError(thrown))
      return false
    }
  }
  const add = async (): Promise<void> => {
    if (!(await change(name.trim(), value.trim()))) return
    setName('')
    setValue('')
  }
  const entries = Object.entries(topic.config).sort(([a], [b]) => (a < b ? -1 : 1))
  return (
    <div class="settings">
      {error !== null && <ProblemBox error={error} />}
      {entries.length === 0 && <Empty title="All settings stand at their defaults." />}
      <dl class="setting-list">
        {entries.map(([setting, now]) => (
          <Setting key={`${setting}=${now}`} name={setting} value={now} onChange={(to) => void change(setting, to)} />
        ))}
      </dl>
      <form
        class="toolbar"
        onSubmit={(event) => {
          event.preventDefault()
          void add()
        }}
      >
        <input
          aria-label="Setting"
          placeholder="retention.ms"
          value={name}
          onInput={(e) => setName(e.currentTarget.value)}
          required
          spellcheck={false}
        />
        <input
          aria-label="Value"
          placeholder="604800000"
          value={value}
          onInput={(e) => setValue(e.currentTarget.value)}
          required
          spellcheck={false}
        />
        <Button submit>Set</Button>
      </form>
    </div>
  )
}

function Setting({
  name,
  value,
  onChange,
}: {
  readonly name: string
  readonly value: string
  readonly onChange: (to: string | null) => void
}) {
  const [text, setText] = useState(value)
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <form
          onSubmit={(event) => {
            event.preventDefault()
            onChange(text)
          }}
        >
          <input aria-label={name} value={text} onInput={(e) => setText(e.currentTarget.value)} spellcheck={false} />
          {text !== value && <Button submit>Set</Button>}
          <Button kind="quiet" onClick={() => onChange(null)}>
            Default
          </Button>
        </form>
      </dd>
    </div>
  )
}
