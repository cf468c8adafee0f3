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

/** Throws Fault project.not-found, or what a file throws when it is imported. */
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
  const definitions = new Set<Definition>()
  for (const file of files) {
    if (!/\.(ts|js|mjs)$/.test(file) || /\.(config|test|d)\.\w+$/.test(file)) continue
    digest.update(`${file}\n`).update(readFileSync(join(folder, file)))
    const module = (await import(pathToFileURL(join(folder, file)).href)) as Readonly<Record<string, unknown>>
    for (const exported of Object.values(module)) if (isDefinition(exported)) definitions.add(exported)
  }
  return { dir: folder, digest: digest.digest('hex'), sql, definitions: [...definitions] }
}
