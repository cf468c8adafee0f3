export { type EventHubsListener, type EventHubsOptions, listenEventHubs } from './listen.ts'
