import type { InferRequest, Tensor } from '../tensor.ts'

/** One request out of several with the same batch key: their inputs one behind the other along axis 0, by pieces, not copied. */
export function joinRequests(requests: readonly InferRequest[]): InferRequest {
  const [first] = requests
  if (first === undefined) throw new RangeError('nothing to join')
  const byName = requests.map((request) => new Map(request.inputs.map((input) => [input.name, input])))
  const inputs = first.inputs.map(({ name, datatype, shape }): Tensor => {
    let rows = 0
    let byteLength = 0
    const pieces: Uint8Array[] = []
    for (const inputsOfOne of byName) {
      const input = inputsOfOne.get(name)
      if (input === undefined) throw new RangeError('requests with different inputs cannot be joined')
      rows += input.shape[0] ?? 0
      byteLength += input.byteLength
      for (const piece of input.pieces) pieces.push(piece)
    }
    return { name, datatype, shape: [rows, ...shape.slice(1)], byteLength, pieces }
  })
  return { inputs, outputs: first.outputs }
}
