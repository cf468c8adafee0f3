/** Google's fake of the service, as a process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { goProgram, repository } from '../setup/index.ts'

export const pstest = (): Promise<string> =>
  goProgram('pstest', join(repository, 'test/interop/pubsub/pstest/main.go'), 'cloud.google.com/go/pubsub/v2@v2.9.0')
/** It ends with its standard input. */
export async function startPstest(): Promise<{ address: string; child: ChildProcess }> {
  const child = spawn(await pstest(), [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { address: line, child }
}
