/**
 * Whether a value is what its own JSON text would give back, and nothing else holds a part of it: then the value may stand
 * for the text. Plain objects and arrays of data, finite numbers, no −0, no undefined, no object that is met twice.
 */
const depthMax = 200

/** `seen`: objects met before; those of this value are added. */
export function isPlainJson(value: unknown, seen: Set<object>, depth = 0): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  if (depth === depthMax || seen.has(value)) return false
  seen.add(value)
  return Array.isArray(value) ? isPlainArray(value, seen, depth) : isPlainObject(value, seen, depth)
}
function isPlainArray(array: readonly unknown[], seen: Set<object>, depth: number): boolean {
  if (Object.getPrototypeOf(array) !== Array.prototype) return false
  // Its items and `length`: no holes, nothing beside them.
  if (Reflect.ownKeys(array).length !== array.length + 1) return false
  return array.every((item) => isPlainJson(item, seen, depth + 1))
}
function isPlainObject(object: object, seen: Set<object>, depth: number): boolean {
  if (Object.getPrototypeOf(object) !== Object.prototype) return false
  for (const key of Reflect.ownKeys(object)) {
    if (typeof key === 'symbol') return false
    const property = Object.getOwnPropertyDescriptor(object, key)!
    if (!('value' in property) || property.enumerable !== true || !isPlainJson(property.value, seen, depth + 1))
      return false
  }
  return true
}
