/** The whole program in memory with settings of security, and clients of a few lines. */
import type { TestContext } from 'node:test'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { environmentSettings, resolveConfig, type Settings } from '../../src/node/config.ts'
import type { Logger } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'

export interface Platform extends Running {
  readonly kafka: { readonly host: string; readonly port: number }
  readonly http: string
  readonly said: string[]
}
export async function platform(t: TestContext, settings: Settings = {}): Promise<Platform> {
  const listen = ['kafka=127.0.0.1:0', 'http=127.0.0.1:0']
  const { config } = resolveConfig({ data: ':memory:', listen, ...settings }, environmentSettings({}), {})
  const said: string[] = []
  const note = (message: string, facts?: Readonly<Record<string, unknown>>): void =>
    void said.push(
      `${message} ${JSON.stringify(facts, (_, value: unknown) => (value instanceof Error ? value.stack : value))}`,
    )
  const logger: Logger = { info: note, warn: note, error: note }
  const running = await startMillrace({ config, world: realWorld(), logger })
  t.after(() => running.close())
  const { kafka = '', http = '' } = running.listening()
  const at = kafka.lastIndexOf(':')
  return {
    ...running,
    kafka: { host: kafka.slice(0, at), port: Number(kafka.slice(at + 1)) },
    http: `${config.security.isEncrypted('http') ? 'https' : 'http'}://${http}`,
    said,
  }
}
export async function makeUser({ security }: Platform, name: string, password: string, isSuper = false): Promise<void> {
  await security.users.change([{ name, super: isSuper, scram: await security.users.credentials(password) }])
}
