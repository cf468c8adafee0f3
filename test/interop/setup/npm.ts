/** Clients of the npm registry, each in a folder of its own: they are no dependencies of ours. No install script runs. */
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { installOnce } from './cache.ts'
import { run } from './run.ts'

/** `specs`: `name@version`. The folder whose `node_modules` has them. */
export async function npmFolder(...specs: readonly [string, ...string[]]): Promise<string> {
  const name = nameOf(specs[0])
  return installOnce(`npm-${name.replace('/', '-').replace('@', '')}`, specs.join(' '), async (target) => {
    console.error(`installing ${specs.join(' ')} from npm`)
    writeFileSync(join(target, 'package.json'), '{"private":true}')
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', '--loglevel=error']
    // npm chooses versions by the Node it runs on.
    const node = { PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}` }
    await run('npm', ['install', '--prefix', target, ...quiet, ...specs], { env: { ...process.env, ...node } })
  })
}
/** Loads what the first of them exports; the caller says what that is. */
export async function npmClient<T>(...specs: readonly [string, ...string[]]): Promise<T> {
  return createRequire(join(await npmFolder(...specs), 'package.json'))(nameOf(specs[0])) as T
}
const nameOf = (spec: string): string => spec.slice(0, spec.lastIndexOf('@'))
