import type { ModelSpec } from '../api/model.ts'

/** The .onnx file to load: `spec.entrypoint`, or the only one there is; undefined when that is not clear. */
export function entrypointOf(spec: Pick<ModelSpec, 'entrypoint' | 'files'>): string | undefined {
  const paths = spec.files.map((file) => file.path).filter((path) => path.endsWith('.onnx'))
  if (spec.entrypoint !== undefined) return paths.includes(spec.entrypoint) ? spec.entrypoint : undefined
  return paths.length === 1 ? paths[0] : undefined
}
