export { listenKinesis } from './listen.ts'
export type { KinesisSettings } from './settings.ts'
