/** Test programs of Go modules, as their authors publish them, built once. */
import { chmodSync, globSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { run, which } from './run.ts'

/** Used where the machine has no Go, or one that cannot fetch what a module asks for (before 1.21). */
const toolchain = '1.26.4'
const machines: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

export interface GoTests {
  /** The compiled tests: takes `-test.run` and the like. */
  readonly binary: string
  /** Where they expect to be run. */
  readonly folder: string
}

/** `go test -c` of a package of a module; `folder` is the package's within it. */
export async function goTests(module: string, version: string, folder: string): Promise<GoTests> {
  const go = await goCommand()
  const words = ['mod', 'download', '-json', `${module}@${version}`]
  const { Dir: source } = JSON.parse(await run(go, words)) as { Dir: string }
  const name = `go-${module.split('/').at(-1)}-${folder.replaceAll('/', '-')}`
  const built = await installOnce(name, version, async (target) => {
    console.error(`building the tests of ${module}/${folder} ${version}`)
    await run(go, ['-C', join(source, folder), 'test', '-c', '-o', join(target, 'tests'), '.'])
  })
  return { binary: join(built, 'tests'), folder: join(source, folder) }
}

export async function goCommand(): Promise<string> {
  const here = which('go') ?? which('/usr/local/go/bin/go')
  if (here !== null && /go1\.(2[1-9]|[3-9]\d)/.test(await run(here, ['version']))) return here
  const system = `go${toolchain}.${process.platform}-${machines[process.arch] ?? process.arch}`
  const dir = await installOnce('go', toolchain, async (target) => {
    const proxy = (process.env['GOPROXY'] ?? '').split(/[,|]/).find((one) => one.startsWith('http'))
    const url = `${proxy ?? 'https://proxy.golang.org'}/golang.org/toolchain/@v/v0.0.1-${system}.zip`
    console.error(`fetching ${url}`)
    const answer = await fetch(url)
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
    const zip = join(target, 'go.zip')
    writeFileSync(zip, Buffer.from(await answer.arrayBuffer()))
    const { python3 } = await need('python3')
    await run(python3, ['-m', 'zipfile', '-e', zip, target])
    rmSync(zip)
    renameSync(join(target, `golang.org/toolchain@v0.0.1-${system}`), join(target, 'go'))
    for (const file of globSync(['go/bin/*', 'go/pkg/tool/*/*'], { cwd: target })) chmodSync(join(target, file), 0o755)
  })
  return join(dir, 'go', 'bin', 'go')
}
