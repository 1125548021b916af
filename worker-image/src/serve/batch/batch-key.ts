import type { InferRequest } from '../tensor.ts'

/** What decides with whom a request may run: equal keys may be joined. */
export type BatchPlace = { readonly key: string; readonly rows: number; readonly inputBytes: number }

/**
 * A request's place among batches, or undefined when it must run alone: its inputs do not share one first dimension of at least
 * 1, or it asks for an output that is not given row by row. The key holds names, datatypes, all dimensions but the first,
 * and the outputs asked for.
 */
export function batchPlace(request: InferRequest, rowOutputs: ReadonlySet<string>): BatchPlace | undefined {
  const rows = request.inputs[0]?.shape[0]
  if (rows === undefined || rows < 1) return undefined
  if (!request.outputs.every((name) => rowOutputs.has(name))) return undefined
  let inputBytes = 0
  const inputs: [string, string, ...number[]][] = []
  for (const { name, datatype, shape, byteLength } of request.inputs) {
    if (shape[0] !== rows) return undefined
    inputBytes += byteLength
    inputs.push([name, datatype, ...shape.slice(1)])
  }
  // Clients may give the inputs in any order; they are joined by name.
  inputs.sort(([a], [b]) => (a < b ? -1 : 1))
  return { key: JSON.stringify([inputs, request.outputs]), rows, inputBytes }
}
