/** How a request about blobs says who it is: Shared Key, or a shared access signature in its query. */
import { createHmac } from 'node:crypto'
import type { HttpRequest } from './exchange.ts'
import { isSame } from './tokens.ts'

/** What both sides sign; the key is base64, as storage accounts have it. */
const signature = (key: string, text: string): string =>
  createHmac('sha256', Buffer.from(key, 'base64')).update(text, 'utf8').digest('base64')
export const isSignedBy = (key: string, text: string, given: string): boolean => isSame(signature(key, text), given)

/** Account and signature of an Authorization header; null: it is of another kind. */
export function sharedKeyOf(authorization: string): { readonly account: string; readonly signature: string } | null {
  const [, account, given] = /^SharedKey\s+([^:]+):(\S+)$/i.exec(authorization) ?? []
  return account === undefined || given === undefined ? null : { account, signature: given }
}

const signedHeaders = [
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'if-modified-since',
  'if-match',
  'if-none-match',
  'if-unmodified-since',
  'range',
]
/** https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key, version 2015-02-21 and later. */
export function sharedKeyText({ method, url, headers }: HttpRequest, account: string): string {
  const lines = signedHeaders.map((name) => {
    const value = headers[name] ?? ''
    if (name === 'content-length' && value === '0') return ''
    return name === 'date' && headers['x-ms-date'] !== undefined ? '' : value
  })
  const ours = Object.keys(headers)
    .filter((name) => name.startsWith('x-ms-'))
    .sort()
    .map((name) => `${name}:${(headers[name] ?? '').trim()}\n`)
  const query = new Map<string, string[]>()
  for (const [name, value] of url.searchParams) {
    const key = name.toLowerCase()
    query.set(key, [...(query.get(key) ?? []), value])
  }
  const asked = [...query]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, values]) => `\n${name}:${values.sort().join(',')}`)
  return `${[method, ...lines].join('\n')}\n${ours.join('')}/${account}${url.pathname}${asked.join('')}`
}

/** The text of a shared access signature of a service or of an account, versions of 2018-11-09 and later. */
export function accessText(query: URLSearchParams, account: string, container: string, blob: string): string {
  const of = (name: string): string => query.get(name) ?? ''
  const version = of('sv')
  const hasScope = version >= '2020-12-06'
  if (query.has('ss')) {
    const fields = [account, of('sp'), of('ss'), of('srt'), of('st'), of('se'), of('sip'), of('spr'), version]
    return `${[...fields, ...(hasScope ? [of('ses')] : [])].join('\n')}\n`
  }
  const resource = `/blob/${account}/${container}${of('sr') === 'c' ? '' : `/${blob}`}`
  const before = [of('sp'), of('st'), of('se'), resource, of('si'), of('sip'), of('spr'), version, of('sr'), '']
  const after = ['rscc', 'rscd', 'rsce', 'rscl', 'rsct'].map(of)
  return [...before, ...(hasScope ? [of('ses')] : []), ...after].join('\n')
}
