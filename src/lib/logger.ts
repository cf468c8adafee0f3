/** Messages for whoever runs the program. Given to lower layers as an argument; nothing prints by itself. */
export interface Logger {
  info(message: string, facts?: Readonly<Record<string, unknown>>): void
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void
  error(message: string, facts?: Readonly<Record<string, unknown>>): void
}
export const silent: Logger = { info: () => {}, warn: () => {}, error: () => {} }
