/** Runs a program for an installer: quiet when it works, its whole output in the error when it does not. */
import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const outputBytesMax = 64 * 1024 * 1024

export function run(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  return new Promise((done, fail) => {
    const env = { ...process.env, ...options.env }
    execFile(command, args, { env, maxBuffer: outputBytesMax }, (error, stdout, stderr) => {
      if (error === null) return done(stdout)
      const said = `${stdout}${stderr}`.trim().split('\n').slice(-20).join('\n')
      fail(new Error(`${command} ${args.join(' ')}\n${said === '' ? error.message : said}`))
    })
  })
}

/** Path of a command, or null. The folders of administration tools are looked at too: a user's PATH may lack them. */
export function which(command: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const folder of folders) {
    const path = join(folder, command)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not here
    }
  }
  return null
}

export const isRoot = (): boolean => process.getuid?.() === 0

/** The words that make a command run as root, [] when we are; null when there is no way. */
export function asRoot(): readonly string[] | null {
  if (isRoot()) return []
  const sudo = which('sudo')
  if (sudo === null) return null
  return spawnSync(sudo, ['-n', 'true']).status === 0 ? [sudo, '-n'] : null
}
