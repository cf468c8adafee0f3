import { render } from 'preact'
import { App } from './app.tsx'
import { listenToKeys } from './lib/keys.ts'
import { followOverview, turnWheel } from './lib/live.ts'
import { followAddress } from './lib/location.ts'
import { applyTheme } from './lib/theme.ts'

applyTheme()
followAddress()
listenToKeys()
followOverview()
turnWheel()
render(<App />, document.getElementById('app')!)
