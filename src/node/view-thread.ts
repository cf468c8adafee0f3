/** What a thread for views, or for parts of their steps, loads (`flow/workers`). */
import type { PartThreadData } from '../flow/workers/part-thread.ts'
import type { ViewThreadData } from '../flow/workers/view-thread.ts'
import { prepareLoading } from './loading.ts'
import type { ProjectMark } from './project.ts'

prepareLoading()
const [{ ownThread }, { realWorld }] = await Promise.all([
  import('../lib/real/threads.ts'),
  import('../lib/real/world.ts'),
])
const own = ownThread()
const data = own.data as ViewThreadData | PartThreadData
const { codeFrom } = data
let known: Promise<readonly unknown[]> | null = codeFrom === null ? Promise.resolve([]) : null
const code = (): Promise<readonly unknown[]> => (known ??= projectCode(codeFrom as ProjectMark))

/** The definitions of the project, once more. */
async function projectCode({ dir, digest }: ProjectMark): Promise<readonly unknown[]> {
  const [{ loadProject }, { codeOf }, { Fault }] = await Promise.all([
    import('./project.ts'),
    import('../flow/workers/code.ts'),
    import('../lib/fault.ts'),
  ])
  const project = await loadProject(dir)
  if (project.digest !== digest) throw new Fault('project.changed', { dir })
  return codeOf(project.definitions)
}
if (data.holds === 'views') {
  const { serveViews } = await import('../flow/workers/view-thread.ts')
  serveViews(own.port, data, realWorld(), code)
} else {
  const { serveParts } = await import('../flow/workers/part-thread.ts')
  serveParts(own.port, data, realWorld().disk, code)
}
