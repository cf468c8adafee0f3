/** What a thread for views loads (`flow/workers`). */
import type { ViewThreadData } from '../flow/workers/view-thread.ts'
import { prepareLoading } from './loading.ts'
import type { ProjectMark } from './project.ts'

prepareLoading()
const [{ serveViews }, { ownThread }, { realWorld }] = await Promise.all([
  import('../flow/workers/view-thread.ts'),
  import('../lib/real/threads.ts'),
  import('../lib/real/world.ts'),
])
const { port, data } = ownThread()
const { codeFrom } = data as ViewThreadData
let code: Promise<readonly unknown[]> | null = codeFrom === null ? Promise.resolve([]) : null

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
serveViews(port, data as ViewThreadData, realWorld(), () => (code ??= projectCode(codeFrom as ProjectMark)))
