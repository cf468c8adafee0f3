/** Clients that not every mirror of a package registry has: a test that wants one says so and is passed over without it. */
import type { TestContext } from 'node:test'

/** The registry does not give it. Whatever else goes wrong in an installation is an error. */
export class NotToBeHad extends Error {}

export async function had<T>(what: string, fetched: Promise<T>): Promise<T> {
  try {
    return await fetched
  } catch (error) {
    throw new NotToBeHad(`${what} could not be fetched: ${error instanceof Error ? error.message : String(error)}`)
  }
}
/** null: it is not to be had, and the test is passed over. */
export async function orSkip<T>(t: TestContext, installed: Promise<T>): Promise<T | null> {
  try {
    return await installed
  } catch (error) {
    if (!(error instanceof NotToBeHad)) throw error
    t.skip(error.message)
    return null
  }
}
