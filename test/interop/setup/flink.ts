/** Apache Flink from PyPI, as a cluster of one JobManager and one TaskManager with one slot. */
import { join } from 'node:path'
import { installOnce, repository } from './cache.ts'
import { need } from './debian.ts'
import { freePorts } from './ports.ts'
import { makeEnvironment } from './python.ts'
import { run } from './run.ts'

export const flinkVersion = '2.3.0'
/** Of what is compiled here: another number installs again. */
const benchVersion = 1
export const flinkScripts = join(repository, 'bench', 'peers', 'flink', 'tools')

/** Folder with `lib/*.jar`; its class path is `DIR/lib/*`. */
export async function flinkDir(): Promise<string> {
  const { python3 } = await need('java', 'javac', 'python3')
  return installOnce('flink', `${flinkVersion} ${benchVersion}`, async (dir) => {
    console.error(`installing Apache Flink ${flinkVersion} from PyPI`)
    const environment = join(dir, 'environment')
    await makeEnvironment(python3, environment)
    await run(join(flinkScripts, 'install.sh'), [dir, flinkVersion], { env: { VENV: environment } })
  })
}

export interface FlinkCluster {
  readonly restPort: number
  readonly taskManagerPid: number
  stop(): Promise<void>
}

/** `core`: that the TaskManager stays on. */
export async function startFlink(
  data: string,
  { core, heapMegabytes }: { readonly core: number; readonly heapMegabytes: number },
): Promise<FlinkCluster> {
  const dir = await flinkDir()
  const [restPort, rpcPort] = await freePorts()
  const stop = async (): Promise<void> => void (await run(join(flinkScripts, 'stop.sh'), [data]))
  try {
    const args = [dir, String(restPort), String(rpcPort), data]
    const env = { PIN: String(core), HEAP: `${heapMegabytes}m`, READY_SECONDS: '180' }
    const said = await run(join(flinkScripts, 'start.sh'), args, { env })
    return { restPort, taskManagerPid: Number(said.trim()), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
