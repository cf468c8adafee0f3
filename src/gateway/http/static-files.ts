/**
 * The console's files. A path is split and each part checked before it meets the disk, so none can leave the folder.
 * A page that the browser asks for and no file has is the app's own: it gets index.html. Files under `assets/` carry a
 * hash in their names and never change.
 */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Disk } from '../../lib/world.ts'
import type { Answer, Exchange } from './exchange.ts'

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json',
  map: 'application/json',
  svg: 'image/svg+xml',
  png: 'image/png',
  ico: 'image/x-icon',
  woff2: 'font/woff2',
  txt: 'text/plain; charset=utf-8',
  webmanifest: 'application/manifest+json',
}
const packed = new Set(['html', 'js', 'css', 'json', 'map', 'svg', 'txt', 'webmanifest'])
/** A console is small; whatever else lies in the folder is not served from memory. */
const fileBytesMax = 16 * 1024 * 1024
const filesKept = 200

const securityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

interface Kept {
  readonly modifiedMs: number
  readonly size: number
  readonly bytes: Uint8Array
  readonly gzip: Uint8Array | null
  readonly tag: string
  readonly type: string
}

export class StaticFiles {
  readonly #disk: Disk
  readonly #root: string
  readonly #kept = new Map<string, Kept>()

  constructor(disk: Disk, root: string) {
    this.#disk = disk
    this.#root = root
  }

  /** null: no such file. */
  answer({ path, headers }: Pick<Exchange, 'path' | 'headers'>): Answer | null {
    const name = safeName(path)
    const wantsPage = (headers['accept'] ?? '').includes('text/html')
    const file = name === null ? null : this.#file(name === '' ? 'index.html' : name)
    if (file !== null) return fileAnswer(file, headers, name!.startsWith('assets/'))
    if (!wantsPage) return null
    const page = this.#file('index.html')
    return page === null ? null : fileAnswer(page, headers, false)
  }
  #file(name: string): Kept | null {
    const place = `${this.#root}/${name}`
    const stat = this.#disk.stat(place)
    if (stat === null || stat.directory || stat.size > fileBytesMax) return null
    const kept = this.#kept.get(name)
    if (kept !== undefined && kept.modifiedMs === stat.modifiedMs && kept.size === stat.size) return kept
    const fresh = readFile(this.#disk, place, stat.modifiedMs)
    if (this.#kept.size >= filesKept) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(name, fresh)
    return fresh
  }
}

/** Plain names only: letters, digits, dots, hyphens, underscores; none that begins with a dot. */
function safeName(path: string): string | null {
  const parts = path.split('/').slice(1)
  if (parts.length === 1 && parts[0] === '') return ''
  return parts.every((part) => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(part)) ? parts.join('/') : null
}

function readFile(disk: Disk, place: string, modifiedMs: number): Kept {
  const file = disk.open(place, 'read')
  try {
    const bytes = Buffer.alloc(file.size())
    const size = file.read(bytes, 0)
    const content = bytes.subarray(0, size)
    const extension = place.slice(place.lastIndexOf('.') + 1)
    return {
      modifiedMs,
      size,
      bytes: content,
      gzip: packed.has(extension) && size > 1024 ? gzipSync(content) : null,
      tag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
      type: types[extension] ?? 'application/octet-stream',
    }
  } finally {
    file.close()
  }
}

function fileAnswer(file: Kept, headers: Exchange['headers'], immutable: boolean): Answer {
  const common = {
    'content-type': file.type,
    etag: file.tag,
    vary: 'Accept-Encoding',
    'cache-control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    'content-security-policy': securityPolicy,
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
  }
  if (headers['if-none-match']?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === file.tag) === true)
    return { status: 304, headers: common, body: null }
  const zip = file.gzip !== null && /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(headers['accept-encoding'] ?? '')
  return zip
    ? { status: 200, headers: { ...common, 'content-encoding': 'gzip' }, body: file.gzip! }
    : { status: 200, headers: common, body: file.bytes }
}
