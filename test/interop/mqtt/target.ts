/** The product as a process with its MQTT listener, for all tests of a file. `MILLRACE_TEST_MQTT=HOST:PORT` runs them against another broker. */
import { type Millrace, type StartOptions, startMillrace } from '../setup/index.ts'

export interface MqttTarget {
  readonly host: string
  readonly port: number
  /** null: another broker. */
  readonly millrace: Millrace | null
}
export async function startTarget(options: StartOptions = {}): Promise<MqttTarget> {
  const other = process.env['MILLRACE_TEST_MQTT']
  if (other !== undefined && other !== '') {
    const [host, port] = other.split(':') as [string, string]
    return { host, port: Number(port), millrace: null }
  }
  const args = ['--listen', 'mqtt=127.0.0.1:0', ...(options.args ?? [])]
  const millrace = await startMillrace({ ...options, args })
  const [host, port] = millrace.listen['mqtt']!.split(':') as [string, string]
  return { host, port: Number(port), millrace }
}
