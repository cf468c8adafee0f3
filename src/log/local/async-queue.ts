/** Values pushed by one side and taken, all that have come, by the other. */
export interface AsyncQueue<T> {
  push(value: T): void
  /** Nothing comes after this; what came before can still be taken. */
  end(): void
  /** What has come, in order; waits for the first. [] = ended. One taker at a time. */
  take(): Promise<T[]>
}

export function asyncQueue<T>(): AsyncQueue<T> {
  let values: T[] = []
  let ended = false
  let wake: (() => void) | null = null
  const stir = (): void => {
    wake?.()
    wake = null
  }
  return {
    push(value) {
      if (ended) return
      values.push(value)
      stir()
    },
    end() {
      ended = true
      stir()
    },
    async take() {
      while (values.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve))
      const taken = values
      values = []
      return taken
    },
  }
}
