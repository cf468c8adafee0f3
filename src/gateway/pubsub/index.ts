export { type PubsubListener, type PubsubOptions, listenPubsub } from './listen.ts'
