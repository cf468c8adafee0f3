/** The frame: where one can go, how the instance is, and the screen that the address names. */
import { Component } from 'preact'
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { FiredAlert } from '../../src/gateway/http/api.ts'
import { compact } from './lib/format.ts'
import { apiUrl } from './lib/http.ts'
import { useResource } from './lib/hooks.ts'
import { useKeys } from './lib/keys.ts'
import { connection, overview } from './lib/live.ts'
import { go, place, route } from './lib/location.ts'
import { asApiError } from './lib/problem.ts'
import { read, theme, toggleTheme, write } from './lib/theme.ts'
import { Button, Empty, Link, Page } from './parts/bits.tsx'
import { Icon, Wheel } from './parts/icon.tsx'
import type { IconName } from './parts/icon.tsx'
import { KeysHelp } from './parts/keys-help.tsx'
import { Palette } from './parts/palette.tsx'
import { ProblemBox } from './parts/problem.tsx'
import { AlertsScreen } from './screens/alerts.tsx'
import { ConnectorsScreen } from './screens/connectors.tsx'
import { GroupsScreen } from './screens/groups.tsx'
import { OverviewScreen } from './screens/overview.tsx'
import { SqlScreen } from './screens/sql.tsx'
import { TopicScreen } from './screens/topic.tsx'
import { TopicsScreen } from './screens/topics.tsx'
import { ViewScreen } from './screens/view.tsx'
import { ViewsScreen } from './screens/views.tsx'

const sections: readonly (readonly [id: string, title: string, icon: IconName, key: string])[] = [
  ['overview', 'Overview', 'overview', 'o'],
  ['topics', 'Topics', 'topics', 't'],
  ['views', 'Views', 'views', 'v'],
  ['sql', 'SQL', 'sql', 's'],
  ['alerts', 'Alerts', 'alerts', 'a'],
  ['groups', 'Groups', 'groups', 'g'],
  ['connectors', 'Connectors', 'connectors', 'c'],
]

function Screen() {
  const [section = 'overview', name] = route.value.path
  switch (section) {
    case 'overview':
      return <OverviewScreen />
    case 'topics':
      return name === undefined ? <TopicsScreen /> : <TopicScreen key={name} name={name} />
    case 'views':
      return name === undefined ? <ViewsScreen /> : <ViewScreen key={name} name={name} />
    case 'sql':
      return <SqlScreen />
    case 'alerts':
      return <AlertsScreen />
    case 'groups':
      return <GroupsScreen key={name ?? ''} name={name ?? null} />
    case 'connectors':
      return <ConnectorsScreen key={name ?? ''} name={name ?? null} />
    default:
      return (
        <Page title="Nothing here">
          <Empty title={`There is no page “${section}”.`}>
            <Link to={['overview']}>To the overview</Link>
          </Empty>
        </Page>
      )
  }
}

export function App() {
  const [palette, setPalette] = useState(false)
  const [help, setHelp] = useState(false)
  useKeys([
    { keys: 'mod+k', does: 'Go to anything', run: () => setPalette((open) => !open) },
    { keys: '?', does: 'Keys', run: () => setHelp(true) },
    { keys: 'g d', does: 'Light or dark', run: toggleTheme },
    ...sections.map(([id, title, , key]) => ({ keys: `g ${key}`, does: title, run: () => go([id]) })),
  ])
  const [section = 'overview', name] = route.value.path
  useEffect(() => {
    const title = sections.find(([id]) => id === section)?.[1] ?? section
    document.title = `${name === undefined ? title : name} · Millrace`
  }, [section, name])
  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          document.getElementById('main')?.focus()
        }}
      >
        To the content
      </a>
      <SideBar section={section} onPalette={() => setPalette(true)} onHelp={() => setHelp(true)} />
      <main id="main" tabIndex={-1}>
        <ConnectionBar />
        <Boundary key={place.value}>
          <Screen />
        </Boundary>
      </main>
      {palette && <Palette sections={sections} onClose={() => setPalette(false)} />}
      {help && <KeysHelp onClose={() => setHelp(false)} />}
    </div>
  )
}

function SideBar({
  section,
  onPalette,
  onHelp,
}: {
  readonly section: string
  readonly onPalette: () => void
  readonly onHelp: () => void
}) {
  const unseen = useUnseenAlerts(section === 'alerts')
  return (
    <nav class="side" aria-label="Main">
      <Link to={['overview']} class="brand">
        <Wheel />
        <span>Millrace</span>
      </Link>
      <button type="button" class="finder" onClick={onPalette}>
        <Icon name="search" />
        <span>Go to</span>
        <kbd aria-hidden="true">{/Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘K' : 'Ctrl K'}</kbd>
      </button>
      <ul>
        {sections.map(([id, title, icon]) => (
          <li key={id}>
            <a href={`/${id}`} aria-current={section === id ? 'page' : undefined} title={title}>
              <Icon name={icon} />
              <span>{title}</span>
              {id === 'alerts' && unseen > 0 && (
                <em class="unseen" aria-label={`${unseen} new`}>
                  {unseen > 99 ? '99+' : unseen}
                </em>
              )}
            </a>
          </li>
        ))}
      </ul>
      <div class="side-end">
        <Pulse />
        <div class="side-buttons">
          <Button
            kind="quiet"
            icon={theme.value === 'light' ? 'sun' : theme.value === 'dark' ? 'moon' : darkNow() ? 'moon' : 'sun'}
            title={`Theme: ${theme.value}`}
            onClick={toggleTheme}
          />
          <Button kind="quiet" icon="help" title="Keys" onClick={onHelp} />
        </div>
      </div>
    </nav>
  )
}

const darkNow = (): boolean => matchMedia('(prefers-color-scheme: dark)').matches

function Pulse() {
  const now = overview.value
  const state = connection.value
  const lost = state.is === 'waiting' || state.is === 'failed'
  return (
    <p class={lost ? 'pulse lost' : 'pulse'} title={lost ? 'Millrace does not answer' : 'Records in a second'}>
      <i aria-hidden="true" />
      <span>{lost ? 'not connected' : now === null ? '…' : `${compact(now.recordsInPerSecond)}/s in`}</span>
      {now !== null && !lost && <span class="muted version">{now.version}</span>}
    </p>
  )
}

/** On every screen: that what it shows has stopped. */
function ConnectionBar() {
  const state = connection.value
  if (state.is !== 'waiting' && state.is !== 'failed') return null
  return (
    <div class="connection-bar" role="alert">
      <Icon name="warning" />
      {state.error.problem.title}: what you see may be old. The console goes on when it is back.
    </div>
  )
}

function useUnseenAlerts(looking: boolean): number {
  const { data } = useResource<readonly FiredAlert[]>(apiUrl(['alerts', 'fired'], { limit: '100' }), 4000)
  const [seen, setSeen] = useState(() => read('millrace.alerts-seen') ?? '')
  const newest = data?.[0]?.firedAt ?? ''
  useEffect(() => {
    if (!looking || newest === '' || newest <= seen) return
    write('millrace.alerts-seen', newest)
    setSeen(newest)
  }, [looking, newest])
  return looking ? 0 : (data ?? []).filter((alert) => alert.firedAt > seen).length
}

/** A screen that fails leaves the frame standing and says so. */
class Boundary extends Component<{ readonly children: ComponentChildren }, { readonly thrown: unknown }> {
  override state = { thrown: null as unknown }
  static override getDerivedStateFromError(thrown: unknown): { thrown: unknown } {
    return { thrown }
  }
  override render() {
    if (this.state.thrown === null) return this.props.children
    return (
      <Page title="This page failed">
        <ProblemBox error={asApiError(this.state.thrown)} retry={() => this.setState({ thrown: null })} />
      </Page>
    )
  }
}
