/** Official packages that connectors stand on: nobody needs them all, so they are installed by who does. */
import { Fault } from '../lib/fault.ts'

/** As the composition root offers it: what the package exports. Rejects as `import` does. */
export type LoadPackage = (name: string) => Promise<unknown>

/** Throws Fault connect.missing-package. */
export async function loadPackage<T>(load: LoadPackage, name: string, version: string): Promise<T> {
  try {
    return (await load(name)) as T
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown }
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
    throw new Fault(
      'connect.missing-package',
      { name, install: `npm install ${name}@${version}`, why: isMissing ? 'it is not installed' : String(message) },
      error,
    )
  }
}
