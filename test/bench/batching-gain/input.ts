/** One input of one request, a row of it; `values` are repeated for larger batches. */
export type RowInput = { name: string; datatype: 'FP32' | 'INT64'; columns: number; values: readonly number[] }

export function bytesOf(input: RowInput, rows: number): Buffer {
  const values = Array.from({ length: rows }, () => input.values).flat()
  return input.datatype === 'FP32'
    ? Buffer.from(Float32Array.from(values).buffer)
    : Buffer.from(BigInt64Array.from(values, BigInt).buffer)
}

/** A request of one row as REST has it, tensors binary both ways. */
export function restRequest(inputs: readonly RowInput[]): { headers: Record<string, string>; body: Buffer } {
  const data = inputs.map((input) => bytesOf(input, 1))
  const tensors = inputs.map(({ name, datatype, columns }, index) => {
    return { name, datatype, shape: [1, columns], parameters: { binary_data_size: data[index]?.byteLength } }
  })
  const head = Buffer.from(JSON.stringify({ inputs: tensors, parameters: { binary_data_output: true } }))
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(head.byteLength),
  }
  return { headers, body: Buffer.concat([head, ...data]) }
}
