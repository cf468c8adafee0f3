/** Makes what is published: JavaScript and declarations from src, and the console's files, all in dist/. */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs'

function run(command: string, ...args: string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

rmSync('dist', { recursive: true, force: true })
run('tsc', '-p', 'tsconfig.build.json')
if (existsSync('console/build.mjs')) run(process.execPath, 'console/build.mjs')
// Assets that lie beside sources (none is compiled) travel along.
if (existsSync('src/node/assets')) cpSync('src/node/assets', 'dist/node/assets', { recursive: true })
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755)
