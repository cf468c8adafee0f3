export { type KafkaListener, type KafkaOptions, listenKafka } from './server.ts'
export type { SaslSettings } from './session.ts'
export type { TopicDefaults } from './topic-defaults.ts'
