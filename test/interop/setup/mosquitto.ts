/** mosquitto as a process of its own, what it holds for sessions that are away without bounds and on disk. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { need } from './debian.ts'
import { freePorts } from './ports.ts'
import { run } from './run.ts'

export interface Mosquitto {
  /** HOST:PORT */
  readonly address: string
  /** What it holds is on its disk then. */
  stop(): Promise<void>
}

export interface MosquittoOptions {
  /** A port that it had before. */
  readonly at?: number
  /** Who alone may come. */
  readonly user?: { readonly name: string; readonly password: string }
}
/** `data`: a folder that exists. */
export async function startMosquitto(data: string, { at, user }: MosquittoOptions = {}): Promise<Mosquitto> {
  const { mosquitto } = await need('mosquitto')
  const port = at ?? (await freePorts())[0]
  const lines = [
    `listener ${port} 127.0.0.1`,
    ...(user === undefined ? ['allow_anonymous true'] : ['allow_anonymous false', `password_file ${data}/passwords`]),
    'max_queued_messages 0',
    'persistence true',
    `persistence_location ${data}/`,
    // As root it would give its rights up, and could not write there.
    `user ${process.env['USER'] ?? 'root'}`,
  ]
  if (user !== undefined) await run('mosquitto_passwd', ['-c', '-b', `${data}/passwords`, user.name, user.password])
  const config = join(data, 'mosquitto.conf')
  writeFileSync(config, `${lines.join('\n')}\n`)
  const child = spawn(mosquitto, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  process.once('exit', () => child.kill('SIGKILL'))
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries === 100 || child.exitCode !== null) throw new Error(`mosquitto does not answer\n${said}`)
    await sleep(100)
  }
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
