export { type MqttListener, type MqttOptions, listenMqtt } from './server.ts'
export type { TopicRule } from './topic-map.ts'
