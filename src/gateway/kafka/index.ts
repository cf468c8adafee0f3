export { type KafkaListener, type KafkaOptions, listenKafka } from './server.ts'
