/** `import … from 'millrace'` means these sources where the examples' tests run in a checkout; nothing is built for it. */
import { registerHooks } from 'node:module'

const sources = {
  millrace: new URL('../src/index.ts', import.meta.url).href,
  'millrace/testing': new URL('../src/testing.ts', import.meta.url).href,
}
registerHooks({
  resolve: (specifier, context, next) =>
    Object.hasOwn(sources, specifier) ? { url: sources[specifier], shortCircuit: true } : next(specifier, context),
})
