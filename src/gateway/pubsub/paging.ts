/** Pages of lists: the token is the last name that was shown, so that what comes and goes in between moves nothing. */
import { invalid } from './errors.ts'

const sizeDefault = 100
const sizeMax = 1_000
export interface Page {
  readonly pageSize: number
  readonly pageToken: string
}
/** `all` by name, ascending. Throws RpcError INVALID_ARGUMENT. */
export function pageOf<T>(
  all: readonly T[],
  nameOf: (item: T) => string,
  { pageSize, pageToken }: Page,
): { readonly items: readonly T[]; readonly nextPageToken: string } {
  if (pageSize < 0) throw invalid(`Invalid page size given (page_size=${pageSize}). It must not be negative.`)
  const after = pageToken === '' ? null : readToken(pageToken)
  const left = after === null ? all : all.filter((item) => nameOf(item) > after)
  const items = left.slice(0, pageSize === 0 ? sizeDefault : Math.min(pageSize, sizeMax))
  const last = items.at(-1)
  const hasMore = items.length < left.length && last !== undefined
  return { items, nextPageToken: hasMore ? `p${Buffer.from(nameOf(last)).toString('base64url')}` : '' }
}
function readToken(token: string): string {
  if (!/^p[A-Za-z0-9_-]{1,2000}$/.test(token))
    throw invalid(`Invalid page token given (page_token=${token.slice(0, 100)}).`)
  return Buffer.from(token.slice(1), 'base64url').toString('utf8')
}
