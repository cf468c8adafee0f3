/** A Go program of ours over modules of others, built once. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { installOnce } from './cache.ts'
import { goCommand } from './go.ts'
import { had } from './or-skip.ts'
import { run } from './run.ts'

/** `source`: its one file. `modules`: `path@version`. Returns the binary. */
export async function goProgram(name: string, source: string, ...modules: readonly string[]): Promise<string> {
  const go = await goCommand()
  const text = readFileSync(source)
  const version = `${modules.join(' ')} ${createHash('sha256').update(text).digest('hex')}`
  const dir = await installOnce(`go-${name}`, version, async (target) => {
    console.error(`building ${basename(source)} with ${modules.join(' ')}`)
    writeFileSync(join(target, basename(source)), text)
    writeFileSync(join(target, 'go.mod'), `module ${name}\n\ngo 1.24\n`)
    for (const module of modules) await run(go, ['-C', target, 'mod', 'edit', `-require=${module}`])
    // What the program imports besides comes in the versions that they ask for.
    await had(modules.join(' '), run(go, ['-C', target, 'mod', 'tidy']))
    await run(go, ['-C', target, 'build', '-o', join(target, 'program'), '.'])
  })
  return join(dir, 'program')
}
