/** Where to look, by which condition, which fields as columns. */
import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import type { TopicDetail } from '../../../../src/gateway/http/api.ts'
import { readStart } from '../../lib/browse.ts'
import { readTime } from '../../lib/format.ts'
import { useKeys } from '../../lib/keys.ts'
import { param, setQuery } from '../../lib/location.ts'
import { Button } from '../../parts/bits.tsx'
import { focusAll } from '../../parts/filter-box.tsx'

interface Props {
  readonly topic: TopicDetail
  readonly live: boolean
  readonly knownFields: readonly string[]
  readonly fields: readonly string[]
}

export function RecordsToolbar({ topic, live, knownFields, fields }: Props) {
  return (
    <div class="toolbar records-toolbar">
      <Button
        icon={live ? 'stop' : 'play'}
        kind={live ? 'primary' : 'plain'}
        pressed={live}
        onClick={() => setQuery({ live: live ? '' : 'true', record: '' })}
      >
        Live
      </Button>
      {!live && <Seek />}
      <PartitionChoice topic={topic} />
      <Where key={topic.name} knownFields={knownFields} />
      <FieldChoice known={knownFields} chosen={fields} />
    </div>
  )
}

type Mode = 'newest' | 'earliest' | 'offset' | 'time'

function Seek() {
  const from = param('from', 'newest')
  const start = readStart(from)
  const fromMode: Mode = start.at === 'positions' ? 'offset' : start.at
  const [mode, setMode] = useState<Mode>(fromMode)
  const [text, setText] = useState(fromMode === 'newest' || fromMode === 'earliest' ? '' : from)
  const [wrong, setWrong] = useState(false)
  // Back and links change the address under us.
  useEffect(() => {
    setMode(fromMode)
    setText(fromMode === 'newest' || fromMode === 'earliest' ? '' : from.replace('T', ' ').replace(/Z$/, ''))
  }, [from])
  const apply = (): void => {
    const value = mode === 'offset' ? (/^[\d:,]+$/.test(text.trim()) ? text.trim() : null) : readTime(text)
    setWrong(value === null)
    if (value !== null) setQuery({ from: value, record: '' }, true)
  }
  const choose = (next: Mode): void => {
    setMode(next)
    setWrong(false)
    if (next === 'newest' || next === 'earliest') setQuery({ from: next === 'newest' ? '' : next, record: '' }, true)
    else setText('')
  }
  return (
    <form
      class="seek"
      onSubmit={(event) => {
        event.preventDefault()
        apply()
      }}
    >
      <select aria-label="Start" value={mode} onChange={(event) => choose(event.currentTarget.value as Mode)}>
        <option value="newest">Newest first</option>
        <option value="earliest">From the beginning</option>
        <option value="offset">From offset</option>
        <option value="time">From time</option>
      </select>
      {(mode === 'offset' || mode === 'time') && (
        <>
          <input
            class={mode === 'time' ? 'seek-time' : 'seek-offset'}
            aria-label={mode === 'time' ? 'Time, UTC' : 'Offset'}
            aria-invalid={wrong}
            placeholder={mode === 'time' ? '2026-01-31 12:34:56.789 (UTC)' : 'offset, or 0:12,1:40'}
            value={text}
            spellcheck={false}
            autofocus
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <Button submit>Seek</Button>
        </>
      )}
      {wrong && (
        <span class="bad small" role="alert">
          {mode === 'time' ? 'A time is written 2026-01-31 12:34:56.789' : 'An offset is a number'}
        </span>
      )}
    </form>
  )
}

/** Beyond so many, a place in all of them does not fit into an address: one is looked at. */
const partitionsTogether = 300

/** '' is all of them. */
export const chosenPartition = (topic: TopicDetail): string =>
  param('partition') === '' && topic.partitions > partitionsTogether ? '0' : param('partition')

function PartitionChoice({ topic }: { readonly topic: TopicDetail }) {
  if (topic.partitions < 2) return null
  return (
    <select
      aria-label="Partition"
      value={chosenPartition(topic)}
      onChange={(event) => setQuery({ partition: event.currentTarget.value, record: '' }, true)}
    >
      {topic.partitions <= partitionsTogether && <option value="">All partitions</option>}
      {topic.partitionDetails.map((p) => (
        <option key={p.partition} value={String(p.partition)}>
          Partition {p.partition}
        </option>
      ))}
    </select>
  )
}

/** The condition is run when it is finished, by Enter: a half-typed one is no question. */
function Where({ knownFields }: { readonly knownFields: readonly string[] }) {
  const where = param('where')
  const [text, setText] = useState(where)
  useLayoutEffect(() => setText(where), [where])
  const example = knownFields[0] ?? 'amount'
  useKeys([
    {
      keys: '/',
      does: 'Filter by a condition',
      run: () => focusAll(document.querySelector('.where input')),
    },
  ])
  return (
    <form
      class="where"
      onSubmit={(event) => {
        event.preventDefault()
        setQuery({ where: text.trim(), record: '' }, true)
      }}
    >
      <span class="where-word" aria-hidden="true">
        WHERE
      </span>
      <input
        type="search"
        aria-label="Filter by an SQL condition"
        placeholder={`${example} = … AND _offset > 100`}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => {
          setText(event.currentTarget.value)
          if (event.currentTarget.value === '' && where !== '') setQuery({ where: '' }, true)
        }}
      />
      {text.trim() !== where && <Button submit>Filter</Button>}
    </form>
  )
}

function FieldChoice({ known, chosen }: { readonly known: readonly string[]; readonly chosen: readonly string[] }) {
  const all = [...new Set([...chosen, ...known])]
  if (all.length === 0) return null
  const toggle = (name: string): void => {
    const next = chosen.includes(name) ? chosen.filter((f) => f !== name) : [...chosen, name]
    setQuery({ fields: next.join(',') })
  }
  return (
    <details class="menu">
      <summary class="button plain">Columns{chosen.length > 0 && <b> {chosen.length}</b>}</summary>
      <div class="menu-body">
        {all.map((name) => (
          <label key={name} class="check">
            <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
            {name}
          </label>
        ))}
      </div>
    </details>
  )
}
