/** The regression tests of librdkafka, with the source that its package for Node carries along to be built. */
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { kafkaTool } from './kafka.ts'
import { run } from './run.ts'

const carrier = '@confluentinc/kafka-javascript@1.10.1'
export const librdkafkaVersion = '2.15.1'

export interface LibrdkafkaTests {
  /** Where `./test-runner` runs. */
  readonly folder: string
  /** Of tests that talk to a broker, not to a mock of theirs, in this scenario. */
  numbers(scenario: string): readonly string[]
  /** Whether a test subscribes to topics as a member of a group (not of a share group). */
  usesGroup(number: string): boolean
}

export async function librdkafkaTests(): Promise<LibrdkafkaTests> {
  const dir = await installOnce('librdkafka', carrier, async (target) => {
    const { make } = await need('gcc', 'g++', 'make', 'openssl.h', 'zlib.h', 'zstd.h', 'rapidjson')
    console.error(`building librdkafka ${librdkafkaVersion} and its tests out of ${carrier}: some minutes`)
    const said = await run('npm', ['pack', carrier, '--json', '--silent', '--pack-destination', target])
    const [{ filename }] = JSON.parse(said) as [{ filename: string }]
    await run('tar', ['-xzf', join(target, filename), '-C', target, 'package/deps/librdkafka'])
    const source = join(target, 'package', 'deps', 'librdkafka')
    const without = ['optimization', 'debug-symbols', 'curl', 'gssapi'].map((what) => `--disable-${what}`)
    await run('env', ['-C', source, 'bash', './configure', ...without])
    for (const folder of ['src', 'src-cpp']) await run(make, ['-C', join(source, folder), '-j2', 'lib'])
    await run(make, ['-C', join(source, 'tests'), '-j2', 'build'])
  })
  const folder = join(dir, 'package', 'deps', 'librdkafka', 'tests')
  const source = (file: string): string => readFileSync(join(folder, file), 'utf8')
  const declared = source('test.c')
    .split(/^ {4}_TEST\((?=\d)/m)
    .slice(1)
  const wanted = declared.filter((text) => !/TEST_F_(LOCAL|MANUAL|KNOWN_ISSUE)\b/.test(text))
  return {
    folder,
    numbers(scenario) {
      const of = (text: string): string => /\.scenario = "([\w,]+)"/.exec(text)?.[1] ?? 'default'
      return [...new Set(wanted.filter((text) => of(text).includes(scenario)).map((text) => text.slice(0, 4)))]
    },
    usesGroup: (number) =>
      readdirSync(folder).some(
        (file) =>
          file.startsWith(number) && /\.c(pp)?$/.test(file) && /(kafka|consumer|->)_?subscribe\(/.test(source(file)),
      ),
  }
}

/** Kafka's own tools, where these tests look for them. `folder` is a new one. */
export async function kafkaScripts(folder: string): Promise<void> {
  mkdirSync(join(folder, 'bin'), { recursive: true })
  for (const [script, tool] of [
    ['kafka-topics.sh', 'topics'],
    ['kafka-acls.sh', 'org.apache.kafka.tools.AclCommand'],
  ] as const) {
    const [command, words] = await kafkaTool(tool)
    const path = join(folder, 'bin', script)
    writeFileSync(path, `#!/bin/sh\nexec ${[command, ...words].map((word) => `'${word}'`).join(' ')} "$@"\n`)
    chmodSync(path, 0o755)
  }
}
