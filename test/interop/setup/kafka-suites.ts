/** What Apache Kafka publishes beside its brokers and tools: Streams, Connect and MirrorMaker, with their test programs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce } from './cache.ts'
import { need } from './debian.ts'
import { kafkaVersion } from './kafka.ts'
import { run } from './run.ts'

const logging = '2.24.3'
const artifacts: readonly (readonly [group: string, artifact: string, version: string, classifier?: string])[] = [
  ['org.apache.kafka', 'kafka-streams', kafkaVersion],
  ['org.apache.kafka', 'kafka-streams', kafkaVersion, 'test'],
  ['org.apache.kafka', 'kafka-streams-test-utils', kafkaVersion],
  ['org.apache.kafka', 'kafka-clients', kafkaVersion, 'test'],
  ['org.apache.kafka', 'connect-runtime', kafkaVersion],
  ['org.apache.kafka', 'connect-file', kafkaVersion],
  ['org.apache.kafka', 'connect-mirror', kafkaVersion],
  ['org.apache.logging.log4j', 'log4j-slf4j-impl', logging],
  ['org.apache.logging.log4j', 'log4j-core', logging],
]
const log4j = `<Configuration status="WARN">
  <Appenders><Console name="C" target="SYSTEM_ERR"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers>
</Configuration>
`

/** A command and its first words; the name of a class and its arguments come behind them. */
export async function kafkaSuites(): Promise<readonly [command: string, words: readonly string[]]> {
  const { java, mvn } = await need('java', 'mvn')
  const dir = await installOnce('kafka-suites', JSON.stringify(artifacts), async (target) => {
    console.error(`installing Streams, Connect and MirrorMaker ${kafkaVersion} from Maven`)
    const dependencies = artifacts.map(
      ([group, artifact, version, classifier]) =>
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>` +
        `${classifier === undefined ? '' : `<classifier>${classifier}</classifier>`}</dependency>`,
    )
    const pom = join(target, 'pom.xml')
    writeFileSync(
      pom,
      `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>kafka-suites</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('\n')}</dependencies></project>
`,
    )
    const copy = ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime']
    await run(mvn, [...copy, `-DoutputDirectory=${join(target, 'lib')}`])
    writeFileSync(join(target, 'log4j2.xml'), log4j)
  })
  const heap = ['-Xmx400M', '-XX:TieredStopAtLevel=1']
  return [java, [...heap, '-cp', `${dir}/lib/*`, `-Dlog4j2.configurationFile=${dir}/log4j2.xml`]]
}
