import type { Catalog, CatalogEntry, CatalogKind } from '../../src/log/catalog.ts'

/** A catalogue that lives as long as the test. */
export function memoryCatalog(): Catalog {
  const entries = new Map<string, CatalogEntry>()
  const watchers = new Set<(changed: readonly { kind: CatalogKind; name: string }[]) => void>()
  return {
    all: (kind) => [...entries.values()].filter((entry) => entry.kind === kind),
    get: (kind, name) => entries.get(`${kind}/${name}`) ?? null,
    async change(changes) {
      await Promise.resolve()
      for (const { kind, name, value } of changes)
        if (value === null) entries.delete(`${kind}/${name}`)
        else entries.set(`${kind}/${name}`, { kind, name, value: JSON.parse(JSON.stringify(value)) })
      for (const call of watchers) call(changes)
    },
    onChange(call) {
      watchers.add(call)
      return () => watchers.delete(call)
    },
  }
}
