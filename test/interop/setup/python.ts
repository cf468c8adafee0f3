/** A virtual environment with the Python clients of the field, versions pinned. */
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { asRoot, run } from './run.ts'

const packages = ['confluent-kafka==2.16.1', 'kafka-python==3.0.12', 'aiokafka[snappy,lz4,zstd]==0.14.0'] as const

/** Path of a Python that can import confluent_kafka, kafka and aiokafka. */
export async function python(): Promise<string> {
  const dir = await installOnce('python', packages.join(' '), async (target) => {
    const { python3 } = await need('python3')
    console.error(`installing ${packages.join(' ')} from PyPI`)
    await makeEnvironment(python3, target)
    await run(join(target, 'bin', 'python'), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...packages])
  })
  return join(dir, 'bin', 'python')
}

/** The same for a client of another service: its packages are in an environment of their own. Path of its Python. */
export async function pythonWith(name: string, ...wanted: readonly string[]): Promise<string> {
  const dir = await installOnce(`python-${name}`, wanted.join(' '), async (target) => {
    const { python3 } = await need('python3')
    console.error(`installing ${wanted.join(' ')} from PyPI`)
    await makeEnvironment(python3, target)
    await run(join(target, 'bin', 'python'), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...wanted])
  })
  return join(dir, 'bin', 'python')
}

/** Debian ships Python without `ensurepip`: its package python3-venv brings it. */
export async function makeEnvironment(python3: string, target: string): Promise<void> {
  const make = (): Promise<string> => run(python3, ['-m', 'venv', target])
  try {
    await make()
  } catch (error) {
    const root = asRoot()
    if (root === null) throw error
    const words = [...root, 'apt-get', 'install', '-y', '-q', '--no-install-recommends', 'python3-venv']
    await run(words[0]!, words.slice(1))
    await make()
  }
}
