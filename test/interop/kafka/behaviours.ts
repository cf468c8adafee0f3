/** A client program that prints one JSON line a behaviour, `{"says": …, "error": null | …}`, as tests of ours. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'

export async function reportBehaviours(
  t: TestContext,
  command: string,
  args: readonly string[],
  behavioursMin: number,
): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  createInterface(child.stderr).on('line', (line) => void said.push(line))
  const ended = new Promise((done) => child.once('close', done))
  let count = 0
  for await (const line of createInterface(child.stdout)) {
    if (!line.startsWith('{"says"')) {
      said.push(line)
      continue
    }
    const { says, error } = JSON.parse(line) as { says: string; error: string | null }
    count++
    await t.test(says, () => {
      if (error !== null) throw new Error(error)
    })
  }
  const code = await ended
  if (code !== 0 || count < behavioursMin)
    throw new Error(`ended with ${String(code)} after ${count} behaviours\n${said.slice(-40).join('\n')}`)
}
