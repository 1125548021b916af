import { slicePieces } from '../rest/slice-pieces.ts'
import { contiguous, elementCount, type InferResponse, type Tensor } from '../tensor.ts'

/** The model's outputs do not have one row for each row that went in. */
export class NotByRows extends Error {}

/** A batch's outputs, cut by rows in the order of `rows`; views, not copies. Throws NotByRows. */
export function splitOutputs(outputs: readonly Tensor[], rows: readonly number[]): InferResponse[] {
  const total = rows.reduce((sum, count) => sum + count, 0)
  const cut = outputs.map((output) => {
    if (output.shape[0] !== total) throw new NotByRows(`output ${JSON.stringify(output.name)} has other rows`)
    return output.datatype === 'BYTES' ? splitBytes(output, rows) : splitFixed(output, rows, total)
  })
  return rows.map((_, index) => ({ outputs: cut.flatMap((parts) => parts[index] ?? []) }))
}

function splitFixed(output: Tensor, rows: readonly number[], total: number): Tensor[] {
  const rowBytes = output.byteLength / total
  if (!Number.isInteger(rowBytes)) throw new NotByRows(`output ${JSON.stringify(output.name)} cannot be cut into rows`)
  let from = 0
  return rows.map((count) => {
    const byteLength = count * rowBytes
    const part = piece(output, count, slicePieces(output.pieces, from, byteLength), byteLength)
    from += byteLength
    return part
  })
}

function splitBytes(output: Tensor, rows: readonly number[]): Tensor[] {
  const bytes = contiguous(output.pieces, output.byteLength)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const perRow = elementCount(output.shape.slice(1))
  let from = 0
  return rows.map((count) => {
    let to = from
    for (let element = count * perRow; element > 0; element--) to += 4 + view.getUint32(to, true)
    const part = piece(output, count, [bytes.subarray(from, to)], to - from)
    from = to
    return part
  })
}

function piece(output: Tensor, rows: number, pieces: readonly Uint8Array[], byteLength: number): Tensor {
  return { name: output.name, datatype: output.datatype, shape: [rows, ...output.shape.slice(1)], byteLength, pieces }
}
