import { knownKeys } from '../lib/keys.ts'
import { Dialog } from './bits.tsx'

const inTables = [
  ['j  k', 'Next and previous row'],
  ['Enter', 'Open the row'],
  ['Home  End', 'First and last row'],
] as const

export function KeysHelp({ onClose }: { readonly onClose: () => void }) {
  const own = knownKeys().map(
    (b) => [b.keys.replace('mod+', /Mac/.test(navigator.userAgent) ? '⌘ ' : 'Ctrl '), b.does] as const,
  )
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl class="keys">
        {[...own, ...inTables].map(([keys, does]) => (
          <div key={`${keys} ${does}`}>
            <dt>
              {keys.split(/\s+/).map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
