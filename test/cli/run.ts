import { execFile } from 'node:child_process'
import { resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A script of this repository as a process of its own. */
export function run(script: string, words: readonly string[], env: NodeJS.ProcessEnv, stdin = ''): Promise<Ran> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [resolve(root, script), ...words],
      { env, cwd: root },
      (error, stdout, stderr) => done({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
    child.stdin?.end(stdin)
  })
}

/** `millrace …` that talks to `server`. */
export const millraceAt =
  (server: string) =>
  (...words: string[]): Promise<Ran> =>
    run('src/cli/main.ts', words, { ...process.env, MILLRACE_SERVER: server })
