/** A virtual environment with Eclipse Paho's MQTT client, its version pinned. */
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { makeEnvironment } from './python.ts'
import { run } from './run.ts'

const packages = ['paho-mqtt==2.1.0'] as const

/** Path of a Python that can import paho.mqtt. */
export async function pahoPython(): Promise<string> {
  const dir = await installOnce('paho', packages.join(' '), async (target) => {
    const { python3 } = await need('python3')
    console.error(`installing ${packages.join(' ')} from PyPI`)
    await makeEnvironment(python3, target)
    await run(join(target, 'bin', 'python'), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...packages])
  })
  return join(dir, 'bin', 'python')
}
