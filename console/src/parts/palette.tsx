/** Everything that has a name, one key away. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type {
  AlertInfo,
  ConnectorJson,
  GroupSummary,
  RelationInfo,
  TopicSummary,
} from '../../../src/gateway/http/api.ts'
import { fuzzy } from '../lib/fuzzy.ts'
import { apiUrl } from '../lib/http.ts'
import { useResource } from '../lib/hooks.ts'
import { go } from '../lib/location.ts'
import { toggleTheme } from '../lib/theme.ts'
import { Icon } from './icon.tsx'
import type { IconName } from './icon.tsx'

interface Item {
  readonly kind: string
  readonly name: string
  readonly icon: IconName
  readonly run: () => void
}
const shownMax = 60
const visit =
  (...path: string[]) =>
  () =>
    go(path)

function useItems(sections: readonly (readonly [id: string, title: string, icon: IconName, key: string])[]): Item[] {
  const topics = useResource<readonly TopicSummary[]>(apiUrl(['topics']))
  const views = useResource<readonly RelationInfo[]>(apiUrl(['views']))
  const groups = useResource<readonly GroupSummary[]>(apiUrl(['groups']))
  const connectors = useResource<readonly ConnectorJson[]>(apiUrl(['connectors']))
  const alerts = useResource<readonly AlertInfo[]>(apiUrl(['alerts']))
  return [
    ...sections.map(([id, title, icon]): Item => ({ kind: 'page', name: title, icon, run: visit(id) })),
    ...(views.data ?? []).map((v): Item => ({
      kind: v.kind,
      name: v.name,
      icon: 'views',
      run: visit('views', v.name),
    })),
    ...(topics.data ?? []).map((t): Item => ({
      kind: 'topic',
      name: t.name,
      icon: 'topics',
      run: visit('topics', t.name),
    })),
    ...(alerts.data ?? []).map((a): Item => ({
      kind: 'alert',
      name: a.name,
      icon: 'alerts',
      run: () => go(['alerts'], { alert: a.name }),
    })),
    ...(groups.data ?? []).map((g): Item => ({
      kind: 'group',
      name: g.group,
      icon: 'groups',
      run: visit('groups', g.group),
    })),
    ...(connectors.data ?? []).map((c): Item => ({
      kind: c.direction,
      name: c.name,
      icon: 'connectors',
      run: visit('connectors', c.name),
    })),
    {
      kind: 'do',
      name: 'New topic',
      icon: 'plus',
      run: () => go(['topics'], { new: 'topic' }),
    },
    { kind: 'do', name: 'Switch between light and dark', icon: 'moon', run: toggleTheme },
  ]
}

function matching(items: readonly Item[], pattern: string): Item[] {
  if (pattern.trim() === '') return items.slice(0, shownMax)
  const scored = items.flatMap((item) => {
    const match = fuzzy(pattern, item.name) ?? fuzzy(pattern, `${item.kind} ${item.name}`)
    return match === null ? [] : [{ item, score: match.score + (item.kind === 'page' ? 20 : 0) }]
  })
  return scored
    .sort((a, b) => b.score - a.score)
    .slice(0, shownMax)
    .map(({ item }) => item)
}

export function Palette({
  sections,
  onClose,
}: {
  readonly sections: readonly (readonly [id: string, title: string, icon: IconName, key: string])[]
  readonly onClose: () => void
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  const list = useRef<HTMLUListElement>(null)
  const [pattern, setPattern] = useState('')
  const [at, setAt] = useState(0)
  const found = matching(useItems(sections), pattern)
  useEffect(() => dialog.current?.showModal(), [])
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at])
  const choose = (item: Item | undefined): void => {
    if (item === undefined) return
    onClose()
    item.run()
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0) setAt((i) => (i + step + found.length) % Math.max(1, found.length))
    else if (event.key === 'Enter') choose(found[at])
    else return
    event.preventDefault()
  }
  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label="Go to anything"
      onClose={onClose}
      onKeyDown={onKeyDown}
      onClick={(event) => {
        if (event.target === dialog.current) onClose()
      }}
    >
      <input
        autofocus
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.length > 0 ? `palette-${at}` : undefined}
        aria-label="Name of a topic, view, alert, group, connector or page"
        placeholder="Topic, view, alert, group, page…"
        value={pattern}
        spellcheck={false}
        onInput={(event) => {
          setPattern(event.currentTarget.value)
          setAt(0)
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Found" ref={list}>
        {found.map((item, i) => (
          <li
            key={`${item.kind} ${item.name}`}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === at}
            onClick={() => choose(item)}
            onMouseMove={() => setAt(i)}
          >
            <Icon name={item.icon} />
            <span>{item.name}</span>
            <small>{item.kind}</small>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="muted palette-none">Nothing has “{pattern}” in its name.</p>}
    </dialog>
  )
}
