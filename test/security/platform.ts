/** The whole program in memory with settings of security, and clients of a few lines. */
import type { TestContext } from 'node:test'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { environmentSettings, resolveConfig, type Settings } from '../../src/node/config.ts'
import type { Logger } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { timeMs } from '../../src/lib/brand.ts'
import type { World } from '../../src/lib/world.ts'

export interface Platform extends Running {
  readonly kafka: { readonly host: string; readonly port: number }
  readonly http: string
  readonly said: string[]
}
/** A world in which time goes faster. */
export function hastened(times: number): World {
  const world = realWorld()
  const { clock } = world
  const startMs = clock.now()
  const faster: World['clock'] = {
    ...clock,
    now: () => timeMs(startMs + (clock.now() - startMs) * times),
    monotonic: () => clock.monotonic() * times,
    after: (ms, call) => clock.after(ms / times, call),
    soon: (call) => clock.soon(call),
  }
  return { ...world, clock: faster }
}
export async function platform(t: TestContext, settings: Settings = {}, world = realWorld()): Promise<Platform> {
  const listen = ['kafka=127.0.0.1:0', 'http=127.0.0.1:0']
  const { config } = resolveConfig({ data: ':memory:', listen, ...settings }, environmentSettings({}), {})
  const said: string[] = []
  const note = (message: string, facts?: Readonly<Record<string, unknown>>): void =>
    void said.push(
      `${message} ${JSON.stringify(facts, (_, value: unknown) => (value instanceof Error ? value.stack : value))}`,
    )
  const logger: Logger = { info: note, warn: note, error: note }
  const running = await startMillrace({ config, world, logger })
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
