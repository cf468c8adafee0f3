/** The integration tests of kafka-python, as they are published with its source on PyPI. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { makeEnvironment } from './python.ts'
import { run } from './run.ts'

const version = '3.0.12'
const beside = ['pytest==8.4.2', 'pytest-timeout==2.4.0', 'lz4==4.4.4', 'zstandard==0.25.0', 'python-snappy==0.7.3']
/** Which the tests import and the published source leaves out. Only brokers that they start themselves need more of it. */
const service = `class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port


class SpawnedService:
    def __init__(self, *_):
        raise RuntimeError('these tests talk to a broker that runs already')
`

/** The folder with `test/integration`, and a Python that runs it. */
export async function kafkaPythonSuite(): Promise<{ readonly folder: string; readonly python: string }> {
  const name = `kafka_python-${version}`
  const dir = await installOnce('kafka-python-suite', [version, ...beside, service].join(' '), async (target) => {
    const { python3 } = await need('python3')
    console.error(`installing the tests of kafka-python ${version} from PyPI`)
    await makeEnvironment(python3, join(target, 'python'))
    const pip = (...words: string[]): Promise<string> =>
      run(join(target, 'python', 'bin', 'python'), ['-m', 'pip', ...words, '-q', '--disable-pip-version-check'])
    await pip('install', `kafka-python==${version}`, ...beside)
    await pip('download', '--no-deps', '--no-binary', ':all:', '-d', target, `kafka-python==${version}`)
    await run('tar', ['-xzf', join(target, `${name}.tar.gz`), '-C', target])
    writeFileSync(join(target, name, 'test', '__init__.py'), '')
    writeFileSync(join(target, name, 'test', 'service.py'), service)
    // They want an installation of Kafka, also where they do not use it.
    mkdirSync(join(target, 'no-kafka'))
  })
  return { folder: join(dir, name), python: join(dir, 'python', 'bin', 'python') }
}
