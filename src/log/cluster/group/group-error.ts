/** What the coordinator of a group answered, where the caller's state decides what it means. */
export class GroupError extends Error {
  readonly error: number
  constructor(error: number) {
    super(`error ${error}`)
    this.name = 'GroupError'
    this.error = error
  }
}
