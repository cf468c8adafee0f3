/**
 * Before `npm start`, `npm test` and the rest: installs what is missing. Runs on whatever Node the machine has, so it is
 * written for old ones; everything after it runs on the Node that the development dependency `node` brings.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const nodeBin = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')

function installed() {
  const marker = join(modules, '.package-lock.json')
  if (!existsSync(marker) || !existsSync(nodeBin)) return false
  return statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
}

function npm(args) {
  const cli = process.env.npm_execpath
  const run = cli ? [process.execPath, [cli].concat(args)] : ['npm', args]
  // Standard output belongs to what runs after us: `millrace … -o json` must stay clean.
  return spawnSync(run[0], run[1], { cwd: root, stdio: ['ignore', process.stderr, process.stderr] }).status === 0
}

function nodeWorks() {
  try {
    const version = execFileSync(nodeBin, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return Number(version.slice(1).split('.')[0]) >= 24
  } catch (ignored) {
    void ignored
    return false
  }
}

/** The package `node` fetches its binary in an install script; where those are off, this puts it in place. */
function bringNode() {
  const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.node
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const prefix = platform === 'darwin' && process.arch === 'arm64' ? 'node-bin-' : 'node-'
  const name = prefix + platform + '-' + process.arch
  const folder = join(root, '.cache', 'node')
  mkdirSync(folder, { recursive: true })
  console.error('bringing Node ' + version)
  if (!npm(['install', '--prefix', folder, '--no-save', '--no-package-lock', '--loglevel=error', name + '@' + version]))
    return false
  const target = join(modules, 'node', 'bin', 'node')
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(join(folder, 'node_modules', name, 'bin', 'node'), target)
  chmodSync(target, 493)
  return true
}

if (!installed()) {
  // npm empties the folder that a link leads to, which may be another clone's.
  if (existsSync(modules) && lstatSync(modules).isSymbolicLink()) {
    console.error('node_modules is a symbolic link: remove it, so that the dependencies can be installed here')
    process.exit(1)
  }
  console.error('installing dependencies (once)')
  // Its warnings are about the Node that only installs.
  if (!npm(['ci', '--no-audit', '--no-fund', '--loglevel=error'])) {
    console.error('npm ci failed; see above')
    process.exit(1)
  }
  const marker = join(modules, '.package-lock.json')
  if (existsSync(marker)) writeFileSync(marker, readFileSync(marker))
}
if (!nodeWorks() && !(bringNode() && nodeWorks())) {
  console.error('Millrace needs Node 24 or later, and the package `node` could not bring it here: install Node 24.')
  process.exit(1)
}
