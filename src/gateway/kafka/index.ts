export { type KafkaListener, type KafkaMeter, type KafkaOptions, listenKafka } from './server.ts'
