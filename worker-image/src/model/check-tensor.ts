import { type CheckContext, refuse, toBigInt } from './check-context.ts'
import { checkExternalData } from './check-external-data.ts'
import { onnx } from './generated/onnx.js'
import { bitsOf, elementsOf, packedBytes, stringType } from './shape.ts'
import { type DataField, readSummary } from './tensor-summary.ts'

/** Which typed field holds the elements of a type, and how many entries of it `elements` need (onnx.proto, TensorProto). */
function typedField(dataType: number, bits: number, elements: bigint): [DataField, bigint] {
  if (dataType === 1) return ['floatData', elements]
  if (dataType === 14) return ['floatData', elements * 2n]
  if (dataType === 11) return ['doubleData', elements]
  if (dataType === 15) return ['doubleData', elements * 2n]
  if (dataType === 7) return ['int64Data', elements]
  if (dataType === 12 || dataType === 13) return ['uint64Data', elements]
  return ['int32Data', bits < 8 ? packedBytes(elements, bits) : elements]
}

/** Checks shape, type and data of a dense tensor; `external: false` where no data may lie outside. */
export function checkTensor(
  tensor: onnx.TensorProto,
  context: CheckContext,
  where: string,
  options: { external: boolean } = { external: true },
): bigint {
  const dataType = tensor.dataType
  const bits = bitsOf(dataType)
  if (bits === undefined && dataType !== stringType) {
    throw refuse(context, 'NotONNX', where, `has the unknown data type ${dataType}`)
  }
  if (tensor.segment != null) throw refuse(context, 'NotONNX', where, 'is stored in segments, which nothing reads')
  const elements = elementsOf(tensor.dims, bits ?? 8, context, where)
  const present = Object.entries(readSummary(tensor.docString)).filter(
    ([name, count]) => name === 'rawData' || count > 0,
  )
  const external = tensor.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL
  if (external !== tensor.externalData.length > 0) {
    throw refuse(
      context,
      'ExternalDataRefused',
      where,
      external ? 'says EXTERNAL and not where' : 'names external data and does not say EXTERNAL',
    )
  }
  if (external) {
    if (!options.external) throw refuse(context, 'ExternalDataRefused', where, 'a sparse tensor with external data')
    if (present.length > 0) throw refuse(context, 'ExternalDataRefused', where, 'has data inside and outside the file')
    if (bits === undefined) throw refuse(context, 'ExternalDataRefused', where, 'strings cannot lie outside the file')
    checkExternalData(tensor, packedBytes(elements, bits), context, where)
    return elements
  }
  if (present.length > 1) {
    const names = present.map(([name]) => name).join(' and ')
    throw refuse(context, 'ShapeRefused', where, `has its data twice, in ${names}`)
  }
  const [name, count] = present[0] ?? [undefined, 0]
  if (name === 'rawData') {
    if (bits === undefined) throw refuse(context, 'ShapeRefused', where, 'strings cannot lie in raw_data')
    expect(BigInt(count), packedBytes(elements, bits), 'bytes')
  } else {
    const [field, wanted] =
      bits === undefined ? (['stringData', elements] as const) : typedField(dataType, bits, elements)
    if (name !== undefined && name !== field) {
      throw refuse(context, 'ShapeRefused', where, `has its data in ${name} and not in ${field}`)
    }
    expect(BigInt(count), wanted, 'entries')
  }
  return elements

  function expect(found: bigint, wanted: bigint, unit: string): void {
    if (found === wanted) return
    throw refuse(context, 'ShapeRefused', where, `its shape needs ${wanted} ${unit} of data, it has ${found}`)
  }
}

/** Checks a sparse tensor (SparseTensorProto): values [n], indices [n] or [n, rank], both INT64 and inside the file. */
export function checkSparseTensor(sparse: onnx.SparseTensorProto, context: CheckContext, where: string): void {
  const { values, indices } = sparse
  if (values == null || indices == null) throw refuse(context, 'NotONNX', where, 'has no values or no indices')
  // The decoder gives message instances; only its type allows plain objects.
  const stored = checkTensor(values as onnx.TensorProto, context, `${where}.values`, { external: false })
  checkTensor(indices as onnx.TensorProto, context, `${where}.indices`, { external: false })
  const bits = bitsOf(values.dataType ?? 0) ?? 64
  const dims = sparse.dims ?? []
  const dense = elementsOf(dims, bits, context, where)
  if (stored > dense) throw refuse(context, 'ShapeRefused', where, 'has more values than its shape has places')
  const rows = toBigInt(indices.dims?.[0])
  const columns = indices.dims?.[1]
  const linear = indices.dims?.length === 1
  const pairs = indices.dims?.length === 2 && toBigInt(columns) === BigInt(dims.length)
  if (values.dims?.length !== 1 || indices.dataType !== 7 || rows !== stored || !(linear || pairs)) {
    throw refuse(context, 'ShapeRefused', where, 'its indices do not fit its values and its shape')
  }
  checkIndices(indices as onnx.TensorProto, linear ? [dense] : dims.map(toBigInt), context, `${where}.indices`)
}

// ONNX Runtime checks indices again when it makes the tensor dense; small ones are checked here too, large ones are left to it.
function checkIndices(indices: onnx.TensorProto, bounds: bigint[], context: CheckContext, where: string): void {
  for (const [position, index] of smallInts(indices).entries()) {
    const bound = bounds[position % bounds.length] ?? 0n
    if (index < 0n || index >= bound) throw refuse(context, 'ShapeRefused', where, `the index ${index} is out of range`)
  }
}

/** The values of a small INT64 tensor whose data the slim copy kept; empty for others. */
export function smallInts(tensor: onnx.TensorProto): bigint[] {
  if (tensor.dataType !== 7) return []
  const summary = readSummary(tensor.docString)
  if (tensor.rawData.length > 0 && tensor.rawData.length === summary.rawData) {
    const view = new DataView(tensor.rawData.buffer, tensor.rawData.byteOffset, tensor.rawData.byteLength)
    return Array.from({ length: Math.floor(view.byteLength / 8) }, (_, index) => view.getBigInt64(index * 8, true))
  }
  return tensor.int64Data.length === (summary.int64Data ?? 0) ? tensor.int64Data.map(toBigInt) : []
}
