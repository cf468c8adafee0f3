/** What became of an act, by what it was answered: the audit says so. */
import { code } from './handler.ts'

/** Of these the audit has a record of their own. */
const refusals: ReadonlySet<unknown> = new Set([
  code.topicAuthorizationFailed,
  code.groupAuthorizationFailed,
  code.clusterAuthorizationFailed,
  code.transactionalIdAuthorizationFailed,
])
/** An answer has a result for the whole or for each item of it; some may have failed. */
export function outcomeOf(answer: unknown): 'done' | 'partly' | 'failed' {
  if (answer === 'close') return 'failed'
  const { done, failed } = resultsIn((answer ?? {}) as object)
  if (failed === 0) return 'done'
  return done > 0 ? 'partly' : 'failed'
}
interface Results {
  done: number
  failed: number
}
function resultsIn(answer: object): Results {
  const { errorCode } = answer as { readonly errorCode?: number }
  if (errorCode !== undefined && errorCode !== code.none)
    return refusals.has(errorCode) ? { done: 0, failed: 0 } : { done: 0, failed: 1 }
  const results: Results = { done: 0, failed: 0 }
  for (const list of Object.values(answer) as unknown[]) {
    if (!Array.isArray(list)) continue
    for (const item of list as unknown[]) {
      if (typeof item !== 'object' || item === null) continue
      const { done, failed } = resultsIn(item)
      results.done += done
      results.failed += failed
    }
  }
  return errorCode === undefined || results.done + results.failed > 0 ? results : { done: 1, failed: 0 }
}
