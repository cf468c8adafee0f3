/** Packages that only some need: looked for beside Millrace, then beside the project that it is started in. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Rejects as `import` does. */
export async function importPackage(name: string): Promise<unknown> {
  try {
    return await import(name)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error
    const path = createRequire(join(process.cwd(), 'package.json')).resolve(name)
    return await import(pathToFileURL(path).href)
  }
}
