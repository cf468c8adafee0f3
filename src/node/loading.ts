/** How the program's own modules, some six hundred, are loaded: half of a start otherwise goes into finding and compiling them. */
import { enableCompileCache, registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/** `src` or `dist`, as this module itself is in one of them. */
const own = new URL('../', import.meta.url).href
const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const format = ending === '.ts' ? 'module-typescript' : 'module'

/**
 * What V8 makes of a module is kept beside the program, for whoever may write there; who may write there may write the
 * program, so nobody is trusted more than before. A change of a file is noticed.
 *
 * A module names another one of ours by its file. Node looks that up all the same for each import of each module: whether
 * it is there, its real path, the package.json of every folder above it.
 */
export function prepareLoading(): void {
  enableCompileCache(fileURLToPath(new URL('../.cache/compile', own)))
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL } = context
      const isOwn = specifier.startsWith('.') && specifier.endsWith(ending) && parentURL?.startsWith(own) === true
      return isOwn ? { url: new URL(specifier, parentURL).href, format, shortCircuit: true } : next(specifier, context)
    },
  })
}
