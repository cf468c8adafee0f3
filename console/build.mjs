/**
 * Builds the console into dist/console: index.html, and under assets/ scripts, style and fonts named by their content, so
 * that a server may let browsers keep them for ever. No file needs an inline script or style. Takes about a second.
 *
 *     node console/build.mjs [OUT]
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const here = dirname(fileURLToPath(import.meta.url))
const out = resolve(process.argv[2] ?? join(here, '..', 'dist', 'console'))
// Built beside its place and moved there at the end: who serves the folder never sees half of it.
const work = `${out}.${process.pid}`
const assets = join(work, 'assets')

function asset(name, bytes) {
  const [stem, extension] = name.split(/\.(?=[^.]+$)/)
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 8)
  const file = `${stem}-${hash}.${extension}`
  writeFileSync(join(assets, file), bytes)
  return `assets/${file}`
}

async function scripts() {
  const bundle = await rolldown({
    input: { console: join(here, 'src/main.tsx'), theme: join(here, 'src/first-paint.ts') },
    platform: 'browser',
    transform: { target: 'es2022', jsx: { runtime: 'automatic', importSource: 'preact' } },
    tsconfig: false,
  })
  const { output } = await bundle.write({
    dir: work,
    format: 'es',
    minify: true,
    entryFileNames: 'assets/[name]-[hash].js',
    chunkFileNames: 'assets/[name]-[hash].js',
  })
  await bundle.close()
  return new Map(output.filter((c) => c.type === 'chunk' && c.isEntry).map((c) => [c.name, c.fileName]))
}

function fonts() {
  const folder = join(here, 'fonts')
  const files = readdirSync(folder).filter((f) => f.endsWith('.woff2'))
  return new Map(files.map((f) => [f, asset(f, readFileSync(join(folder, f)))]))
}

function style(fontFiles) {
  const folder = join(here, 'style')
  const library = fileURLToPath(import.meta.resolve('uplot/dist/uPlot.min.css'))
  const own = readdirSync(folder)
    .filter((f) => f.endsWith('.css'))
    .sort()
  const text = [library, ...own.map((f) => join(folder, f))].map((f) => readFileSync(f, 'utf8')).join('\n')
  const small = text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/\s*\n\s*/g, '\n')
    .replaceAll(/url\(['"]?\.\.\/fonts\/([^'")]+)['"]?\)/g, (_, f) => `url(${basename(fontFiles.get(f))})`)
  return asset('console.css', small)
}

rmSync(work, { recursive: true, force: true })
mkdirSync(assets, { recursive: true })
try {
  const [entries, fontFiles] = [await scripts(), fonts()]
  const icon = asset('icon.svg', readFileSync(join(here, 'icon.svg')))
  const html = readFileSync(join(here, 'index.html'), 'utf8')
    .replace('%icon%', icon)
    .replace('%style%', style(fontFiles))
    .replace('%theme%', entries.get('theme'))
    .replace('%console%', entries.get('console'))
  writeFileSync(join(work, 'index.html'), html)
  rmSync(out, { recursive: true, force: true })
  renameSync(work, out)
} finally {
  rmSync(work, { recursive: true, force: true })
}
