/** The package as users get it: packed, installed without scripts and development dependencies, run and type-checked. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'

const root = resolve(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
const npm = (args: readonly string[], cwd: string): string =>
  execFileSync('npm', args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, npm_config_audit: 'false', npm_config_fund: 'false' },
  })

before(() => {
  const packed = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], root)) as [
    { filename: string; files: { path: string }[] },
  ]
  const files = packed[0].files.map((file) => file.path)
  assert.ok(
    ['index', 'testing'].every((name) => files.includes(`dist/${name}.js`) && files.includes(`dist/${name}.d.ts`)),
    'JavaScript and declarations are packed',
  )
  assert.ok(files.includes('dist/console/index.html'), 'the console is packed')
  assert.deepEqual(
    files.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts')),
    [],
    'no TypeScript source is packed',
  )
  const example = JSON.parse(readFileSync(join(root, 'examples/typescript/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({
      private: true,
      type: 'module',
      dependencies: { ...example.dependencies, millrace: `file:${join(folder, packed[0].filename)}` },
    }),
  )
  npm(['install', '--ignore-scripts', '--omit=dev'], folder)
})
after(() => rmSync(folder, { recursive: true, force: true }))

test('npx millrace serve starts, answers and stops', async () => {
  const args = [
    '--no-install',
    'millrace',
    'serve',
    '--data',
    join(folder, 'data'),
    '--listen',
    'http=127.0.0.1:0',
    '--listen',
    'kafka=127.0.0.1:0',
    '-o',
    'json',
  ]
  const server = spawn('npx', args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]()
    const first = await lines.next()
    const ready = JSON.parse(String(first.value)) as { event: string; pid: number; listen: Record<string, string> }
    assert.equal(ready.event, 'ready')
    const page = await fetch(`http://${ready.listen['http']}/`)
    assert.equal(page.status, 200)
    assert.match(await page.text(), /<!doctype html>/i)
    const stopped = new Promise<number | null>((done) => server.once('exit', done))
    process.kill(ready.pid, 'SIGTERM')
    assert.equal(await stopped, 0)
  } finally {
    server.kill('SIGKILL')
  }
})

test('the TypeScript example type-checks and runs against the package', () => {
  for (const file of ['main.ts', 'shop.ts', 'shop.test.ts', 'tsconfig.json'])
    cpSync(join(root, 'examples/typescript', file), join(folder, file))
  assert.ok(existsSync(join(folder, 'node_modules/millrace/dist/index.d.ts')))
  // The compiler and Node's types are the checkout's: a user brings their own.
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder, '--typeRoots', join(root, 'node_modules/@types')], {
    stdio: 'inherit',
  })
  const printed = execFileSync(process.execPath, ['main.ts'], { cwd: folder, encoding: 'utf8', timeout: 60_000 })
  assert.match(printed, /revenue of lamp: 24\.5/)
  // Its own tests, by millrace/testing as the package has it.
  execFileSync(process.execPath, ['--test', 'shop.test.ts'], { cwd: folder, stdio: 'pipe', timeout: 60_000 })
})
