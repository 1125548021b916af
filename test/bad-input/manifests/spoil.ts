import type { Manifest } from './valid.ts'

/** Where in a manifest: property names and list indices. */
export type Path = readonly (string | number)[]

/** A copy of a manifest with one value replaced, or removed where `value` is undefined. Throws when the path leads nowhere. */
export function spoil(manifest: Manifest, path: Path, value: unknown): Manifest {
  const copy = structuredClone(manifest)
  const last = path.at(-1)
  let at: unknown = copy
  for (const step of path.slice(0, -1)) at = child(at, step, path)
  if (last === undefined || !isContainer(at)) throw new Error(`no ${path.join('.')} in the valid manifest`)
  if (value === undefined) {
    delete at[last]
  } else {
    // defineProperty, so that a key such as __proto__ is a key and nothing else.
    Object.defineProperty(at, last, { value, enumerable: true, writable: true, configurable: true })
  }
  return copy
}

/** The value at a path; undefined where there is none. */
export function valueAt(manifest: Manifest, path: Path): unknown {
  return path.reduce<unknown>((at, step) => (isContainer(at) ? at[step] : undefined), manifest)
}

/** A path as the API server writes it, such as `spec.files[0].path`. */
export function pathText(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}

function child(at: unknown, step: string | number, path: Path): unknown {
  const found = isContainer(at) ? at[step] : undefined
  if (found === undefined) throw new Error(`no ${path.join('.')} in the valid manifest`)
  return found
}

function isContainer(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null
}
