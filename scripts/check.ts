/** `npm run check`: format, lint, types, dead code, architecture and unit tests. Says which failed; exits 1 then. */
import { spawnSync } from 'node:child_process'

const steps: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['format', 'oxfmt', '--check', '.'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings', '.'],
  ['types', 'tsc', '-p', '.'],
  ['types of the console', 'tsc', '-p', 'console'],
  ['dead code', 'knip', '--no-progress'],
  ['architecture and unit tests', process.execPath, 'scripts/test.ts'],
]

const wanted = process.argv.includes('--static') ? steps.slice(0, -1) : steps

const failed: string[] = []
for (const [name, command, ...args] of wanted) {
  const start = performance.now()
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  console.error(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  if (status !== 0) failed.push(name)
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`)
  process.exit(1)
}
