import { ModelRefused, quote } from './model-refused.ts'

/** The .onnx file to load: `wanted`, or the only one. Refuses with `EntrypointMissing` or `EntrypointAmbiguous`. */
export function resolveEntrypoint(paths: readonly string[], wanted: string | undefined): string {
  const candidates = paths.filter((path) => path.endsWith('.onnx'))
  if (wanted !== undefined) {
    if (candidates.includes(wanted)) return wanted
    throw new ModelRefused('EntrypointMissing', `the entrypoint ${quote(wanted)} is no .onnx file of the model`)
  }
  const [only, second] = candidates
  if (only === undefined) throw new ModelRefused('EntrypointMissing', 'none of the files ends in .onnx')
  if (second !== undefined) {
    throw new ModelRefused('EntrypointAmbiguous', `${candidates.length} files end in .onnx and no entrypoint is set`)
  }
  return only
}
