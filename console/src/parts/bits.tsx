/** Small things that every screen uses. */
import { cloneElement } from 'preact'
import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import type { StreamState } from '../lib/stream.ts'
import { formatRoute } from '../lib/route.ts'
import type { Query } from '../lib/route.ts'
import { useNow } from '../lib/hooks.ts'
import { duration } from '../lib/format.ts'
import { param, setQuery } from '../lib/location.ts'
import { Icon } from './icon.tsx'
import type { IconName } from './icon.tsx'

export function Link({
  to,
  query,
  children,
  class: name,
}: {
  readonly to: readonly string[]
  readonly query?: Query
  readonly children: ComponentChildren
  readonly class?: string
}) {
  return (
    <a href={formatRoute(to, query)} class={name}>
      {children}
    </a>
  )
}

export function Button(props: {
  readonly icon?: IconName
  readonly children?: ComponentChildren
  readonly onClick?: () => void
  readonly kind?: 'plain' | 'primary' | 'danger' | 'quiet'
  readonly title?: string
  readonly disabled?: boolean
  readonly pressed?: boolean
  readonly submit?: boolean
}) {
  const label = props.children === undefined ? props.title : undefined
  return (
    <button
      type={props.submit === true ? 'submit' : 'button'}
      class={`button ${props.kind ?? 'plain'}${props.children === undefined ? ' square' : ''}`}
      onClick={props.onClick}
      title={props.title}
      aria-label={label}
      aria-pressed={props.pressed}
      disabled={props.disabled}
    >
      {props.icon !== undefined && <Icon name={props.icon} />}
      {props.children}
    </button>
  )
}

export function Badge({
  kind,
  children,
  title,
}: {
  readonly kind: 'good' | 'warn' | 'bad' | 'quiet' | 'live'
  readonly children: ComponentChildren
  readonly title?: string
}) {
  return (
    <span class={`badge ${kind}`} title={title}>
      {children}
    </span>
  )
}

const statusKinds: Readonly<Record<string, 'good' | 'warn' | 'bad' | 'quiet'>> = {
  running: 'good',
  connected: 'good',
  Stable: 'good',
  delivered: 'good',
  restoring: 'warn',
  restarting: 'warn',
  pending: 'warn',
  PreparingRebalance: 'warn',
  CompletingRebalance: 'warn',
  paused: 'quiet',
  idle: 'quiet',
  Empty: 'quiet',
  failed: 'bad',
  dead: 'bad',
  Dead: 'bad',
}
export const Status = ({ of }: { readonly of: string }) => <Badge kind={statusKinds[of] ?? 'quiet'}>{of}</Badge>

/** Whether a stream lives; says why and until when it does not. */
export function StreamBadge({ state }: { readonly state: StreamState }) {
  const now = useNow(500)
  switch (state.is) {
    case 'live':
      return <Badge kind="live">live</Badge>
    case 'connecting':
      return <Badge kind="quiet">connecting</Badge>
    case 'resting':
      return <Badge kind="quiet">resting</Badge>
    case 'ended':
      return <Badge kind="quiet">complete</Badge>
    case 'waiting':
      return (
        <Badge kind="warn" title={state.error.message}>
          connection lost, again in{' '}
          {duration(Math.max(0, Math.ceil((state.untilMs - now) / 1000) * 1000)).replace('.0', '')}
        </Badge>
      )
    case 'failed':
      return (
        <Badge kind="bad" title={state.error.message}>
          stopped
        </Badge>
      )
  }
}

export function Tabs({
  tabs,
  current,
  onSelect,
}: {
  readonly tabs: readonly (readonly [id: string, title: ComponentChildren])[]
  readonly current: string
  readonly onSelect: (id: string) => void
}) {
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (step === 0) return
    event.preventDefault()
    const at = tabs.findIndex(([id]) => id === current)
    const next = (at + step + tabs.length) % tabs.length
    onSelect(tabs[next]![0])
    const list = event.currentTarget
    if (list instanceof HTMLElement) list.querySelectorAll<HTMLElement>('[role=tab]')[next]?.focus()
  }
  return (
    <div class="tabs" role="tablist" onKeyDown={onKeyDown}>
      {tabs.map(([id, title]) => (
        <button
          key={id}
          type="button"
          role="tab"
          aria-selected={id === current}
          tabIndex={id === current ? 0 : -1}
          onClick={() => onSelect(id)}
        >
          {title}
        </button>
      ))}
    </div>
  )
}

export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return
    const timer = setTimeout(() => setDone(false), 1200)
    return () => clearTimeout(timer)
  }, [done])
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text)
    setDone(true)
  }
  return (
    <Button kind="quiet" icon={done ? 'check' : 'copy'} title={done ? 'Copied' : label} onClick={() => void copy()} />
  )
}

/** A modal that the browser itself keeps the focus in; Escape and the backdrop close it. */
export function Dialog({
  title,
  onClose,
  children,
  wide,
}: {
  readonly title: string
  readonly onClose: () => void
  readonly children: ComponentChildren
  readonly wide?: boolean
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return (
    <dialog
      ref={dialog}
      class={wide === true ? 'dialog wide' : 'dialog'}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === dialog.current) onClose()
      }}
    >
      <header class="dialog-head">
        <h2>{title}</h2>
        <Button kind="quiet" icon="close" title="Close" onClick={onClose} />
      </header>
      {children}
    </dialog>
  )
}

/** A control with its name and what is to be known of it; one child, which gets the ids. */
export function Field({
  label,
  hint,
  children,
}: {
  readonly label: string
  readonly hint?: string | undefined
  readonly children: VNode
}) {
  const id = useId()
  const described = hint === undefined ? {} : { 'aria-describedby': `${id}-hint` }
  return (
    <div class="field">
      <label class="field-label" for={id}>
        {label}
      </label>
      {cloneElement(children, { id, ...described })}
      {hint !== undefined && (
        <span class="field-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  )
}

export function Facts({ of }: { readonly of: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

/** A place that loads: appears only when it takes longer than a blink. */
export const Loading = ({ what }: { readonly what: string }) => (
  <p class="loading" role="status">
    Loading {what}…
  </p>
)

export function Page({
  title,
  crumbs,
  actions,
  children,
  wide,
}: {
  readonly title: ComponentChildren
  readonly crumbs?: ComponentChildren
  readonly actions?: ComponentChildren
  readonly children: ComponentChildren
  readonly wide?: boolean
}) {
  return (
    <section class={wide === true ? 'page scrolls' : 'page'}>
      <header class="page-head">
        <div class="page-title">
          {crumbs !== undefined && <nav aria-label="Path">{crumbs}</nav>}
          <h1>{title}</h1>
        </div>
        {actions !== undefined && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  )
}

/** Whether a list also shows what Millrace keeps for itself; stands in the address. */
export const InternalToo = ({ what }: { readonly what: string }) => (
  <label class="check" title={`Also ${what}`}>
    <input
      type="checkbox"
      checked={param('internal') === 'true'}
      onChange={(event) => setQuery({ internal: event.currentTarget.checked ? 'true' : '' })}
    />
    internal
  </label>
)
