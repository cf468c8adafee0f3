/**
 * A project: a folder whose `*.sql` files hold statements and whose `*.ts` files export definitions (topics, views,
 * alerts). `millrace.config.ts` and tests aside, every file at its top level counts; sub-folders are the user's own.
 */
import { createHash } from 'node:crypto'
import { registerHooks } from 'node:module'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Definition, isDefinition } from '../dsl/index.ts'
import { Fault } from '../lib/fault.ts'

/** Enough to load it once more, and to know that it is the same. */
export interface ProjectMark {
  readonly dir: string
  /** Of the texts of its files. */
  readonly digest: string
}
export interface Project extends ProjectMark {
  readonly sql: readonly { readonly file: string; readonly text: string }[]
  readonly definitions: readonly Definition[]
  /** Which file a definition stands in. */
  readonly files: ReadonlyMap<Definition, string>
}

/**
 * `import … from 'millrace'` in a project means this program, not a copy that lies near the project: definitions are
 * recognised by their class.
 */
const ownIndex = new URL(`../index${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href
let isHooked = false
function resolveOwnName(): void {
  if (isHooked) return
  isHooked = true
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'millrace' ? { url: ownIndex, shortCircuit: true } : next(specifier, context),
  })
}

/** Throws Fault project.invalid-file, and what definitions throw, with the file in front. */
async function imported(path: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
  } catch (error) {
    if (error instanceof Fault) {
      error.message = `${file}: ${error.message}`
      throw error
    }
    const { message, stack = '' } = error instanceof Error ? error : new Error(String(error))
    const line = [pathToFileURL(path).href, path]
      .map((at) => /^:(\d+)/.exec(stack.split(at)[1] ?? '')?.[1])
      .find((one) => one)
    throw new Fault(
      'project.invalid-file',
      { file: line === undefined ? file : `${file}:${line}`, why: message },
      error,
    )
  }
}
/** Throws Fault project.not-found, project.invalid-file, and what definitions throw. */
export async function loadProject(dir: string): Promise<Project> {
  const folder = resolve(dir)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new Fault('project.not-found', { dir: folder })
  resolveOwnName()
  const files = readdirSync(folder).sort()
  const digest = createHash('sha256')
  const sql = files
    .filter((file) => file.endsWith('.sql'))
    .map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }))
  const found = new Map<Definition, string>()
  for (const file of files) {
    if (!/\.(ts|js|mjs)$/.test(file) || /\.(config|test|d)\.\w+$/.test(file)) continue
    digest.update(`${file}\n`).update(readFileSync(join(folder, file)))
    for (const exported of Object.values(await imported(join(folder, file), file)))
      if (isDefinition(exported) && !found.has(exported)) found.set(exported, file)
  }
  return { dir: folder, digest: digest.digest('hex'), sql, definitions: [...found.keys()], files: found }
}
