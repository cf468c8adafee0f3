/** The console is built when it is missing or older than its sources. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'

export function buildConsole(): void {
  if (!existsSync('console/build.mjs')) return
  const built = existsSync('dist/console/index.html') ? statSync('dist/console/index.html').mtimeMs : 0
  const newest = Math.max(...globSync('console/{src,style}/**/*.*').map((file) => statSync(file).mtimeMs))
  if (built >= newest) return
  const { status } = spawnSync(process.execPath, ['console/build.mjs'], { stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) throw new Error('console/build.mjs failed; see above')
}

// Before `npm run millrace`, whose `serve` shows it.
if (import.meta.main) buildConsole()
