/**
 * The three functions of the metadata reflection API that tsyringe (below `@peculiar/x509`) asks for at load. A class's
 * metadata is looked up along its prototype chain, as the polyfills for TypeScript's legacy decorators do.
 */
const store = new WeakMap<object, Map<unknown, unknown>>()

function getOwnMetadata(key: unknown, target: object): unknown {
  return store.get(target)?.get(key)
}

function getMetadata(key: unknown, target: object): unknown {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
    const own = store.get(at)
    if (own?.has(key)) return own.get(key)
  }
  return undefined
}

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const own = store.get(target) ?? new Map<unknown, unknown>()
  own.set(key, value)
  store.set(target, own)
}

if (!('getMetadata' in Reflect)) Object.assign(Reflect, { getOwnMetadata, getMetadata, defineMetadata })
