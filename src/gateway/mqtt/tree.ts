/** Values by topic filter, found by topic; and values by topic, found by filter. Both by levels. */

class FilterNode<T> {
  children: Map<string, FilterNode<T>> | null = null
  here: T[] | null = null
  /** Of `#` behind this level. */
  below: T[] | null = null
  get isEmpty(): boolean {
    return this.children === null && this.here === null && this.below === null
  }
}

export class FilterTree<T> {
  readonly #root = new FilterNode<T>()

  add(filter: string, value: T): void {
    let node = this.#root
    for (const level of filter.split('/')) {
      if (level === '#') {
        node.below = [...(node.below ?? []), value]
        return
      }
      node.children ??= new Map()
      let next = node.children.get(level)
      if (next === undefined) node.children.set(level, (next = new FilterNode()))
      node = next
    }
    node.here = [...(node.here ?? []), value]
  }
  remove(filter: string, value: T): void {
    const path: [FilterNode<T>, string][] = []
    let node = this.#root
    const without = (values: T[] | null): T[] | null => {
      const left = values?.filter((one) => one !== value) ?? []
      return left.length === 0 ? null : left
    }
    for (const level of filter.split('/')) {
      if (level === '#') {
        node.below = without(node.below)
        return prune(path, node)
      }
      const next = node.children?.get(level)
      if (next === undefined) return
      path.push([node, level])
      node = next
    }
    node.here = without(node.here)
    prune(path, node)
  }
  match(topic: string): T[] {
    const found: T[] = []
    collect(this.#root, topic.split('/'), 0, found)
    return found
  }
}
function prune<T>(path: readonly [FilterNode<T>, string][], last: FilterNode<T>): void {
  let node = last
  for (const [parent, level] of path.toReversed()) {
    if (!node.isEmpty) return
    parent.children!.delete(level)
    if (parent.children!.size === 0) parent.children = null
    node = parent
  }
}
function collect<T>(node: FilterNode<T>, levels: readonly string[], at: number, found: T[]): void {
  // A wildcard at the first level leaves out what begins with `$`.
  const isHidden = at === 0 && levels[0]!.startsWith('$')
  if (node.below !== null && !isHidden) found.push(...node.below)
  if (at === levels.length) {
    if (node.here !== null) found.push(...node.here)
    return
  }
  const { children } = node
  if (children === null) return
  const same = children.get(levels[at]!)
  if (same !== undefined) collect(same, levels, at + 1, found)
  const any = isHidden ? undefined : children.get('+')
  if (any !== undefined) collect(any, levels, at + 1, found)
}

class TopicNode<T> {
  children: Map<string, TopicNode<T>> | null = null
  value: T | null = null
}

export class TopicTree<T> {
  readonly #root = new TopicNode<T>()

  get(topic: string): T | null {
    let node: TopicNode<T> | undefined = this.#root
    for (const level of topic.split('/')) node = node?.children?.get(level)
    return node?.value ?? null
  }
  /** null takes it away. */
  set(topic: string, value: T | null): void {
    const path: [TopicNode<T>, string][] = []
    let node = this.#root
    for (const level of topic.split('/')) {
      let next = node.children?.get(level)
      if (next === undefined) {
        if (value === null) return
        node.children ??= new Map()
        node.children.set(level, (next = new TopicNode()))
      }
      path.push([node, level])
      node = next
    }
    node.value = value
    for (const [parent, level] of path.toReversed()) {
      if (node.value !== null || node.children !== null) return
      parent.children!.delete(level)
      if (parent.children!.size === 0) parent.children = null
      node = parent
    }
  }
  /** One after another, as they are when they are asked for: the tree may change meanwhile. */
  find(filter: string): Generator<T, undefined> {
    return under(this.#root, filter.split('/'), 0)
  }
}
function* under<T>(node: TopicNode<T>, wanted: readonly string[], at: number): Generator<T, undefined> {
  const level = wanted[at]
  if (level === undefined) {
    if (node.value !== null) yield node.value
  } else if (level === '#') yield* all(node, at === 0)
  else if (level === '+') {
    for (const [name, next] of node.children ?? [])
      if (at > 0 || !name.startsWith('$')) yield* under(next, wanted, at + 1)
  } else {
    const next = node.children?.get(level)
    if (next !== undefined) yield* under(next, wanted, at + 1)
  }
}
function* all<T>(node: TopicNode<T>, isRoot: boolean): Generator<T, undefined> {
  if (node.value !== null) yield node.value
  for (const [name, next] of node.children ?? []) if (!isRoot || !name.startsWith('$')) yield* all(next, false)
}
