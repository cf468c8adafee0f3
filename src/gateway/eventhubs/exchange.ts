/** A request over HTTP and its answer, as values: the shell makes them of sockets. */
export interface HttpRequest {
  readonly method: string
  /** Path and query. */
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Names as they were sent, in order. */
  readonly rawHeaders: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** Without a port. */
  readonly host: string
}
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}
