/**
 * What interop tests, fault tests and benchmarks need from outside, installed on first use:
 *
 *   const { kcat } = await need('kcat')            a Debian program: its path
 *   const python = await python()                  a Python with confluent_kafka, kafka (kafka-python) and aiokafka
 *   const python = await pahoPython()              another that can import paho.mqtt
 *   const dir = await kafkaDir()                   Kafka's jars: java -cp `${dir}/lib/*` …
 *   const [command, args] = await kafkaTool('topics', '--bootstrap-server', address, '--list')
 *   await using millrace = await startMillrace()   the product as a process on free ports
 */
export { cacheDir, repository } from './cache.ts'
export { need, type ProgramName } from './debian.ts'
export { eventHubsJava } from './eventhubs.ts'
export { type FlinkCluster, flinkDir, flinkScripts, startFlink } from './flink.ts'
export {
  type KafkaBroker,
  type KafkaCluster,
  type SecureKafka,
  kafkaDir,
  kafkaTool,
  kafkaVersion,
  startKafka,
  startKafkaCluster,
  startSecureKafka,
} from './kafka.ts'
export { kafkaScripts, type LibrdkafkaTests, librdkafkaTests, librdkafkaVersion } from './librdkafka.ts'
export { kafkaSuites } from './kafka-suites.ts'
export { kinesaliteSuite, kinesisJava, kinesisLibrary, kinesisPython } from './kinesis.ts'
export { type Millrace, type StartOptions, millraceCommand, startMillrace } from './millrace.ts'
export { type Mosquitto, startMosquitto } from './mosquitto.ts'
export { type GoTests, goTests } from './go.ts'
export { kafkaPythonSuite } from './kafka-python.ts'
export { npmClient, npmFolder } from './npm.ts'
export { orSkip } from './or-skip.ts'
export { pahoPython } from './paho.ts'
export { freePortRow, freePorts } from './ports.ts'
export { goProgram } from './go-program.ts'
export { python, pythonWith } from './python.ts'
export { run } from './run.ts'
