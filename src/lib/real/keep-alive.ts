/**
 * Keeps the process from ending by itself until the answer is called. The clock's timers do not: a program that waits for
 * a server that does not answer has nothing else open.
 */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, 60_000)
  return () => clearInterval(timer)
}
