/**
 * A tiny hand-written encoder of ONNX models (protobuf wire format, field numbers of onnx.proto), so that tests own their
 * models and share no code with the decoder under test.
 */

/** TensorProto.DataType numbers of onnx.proto. */
export const onnxType = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
} as const
export type OnnxType = keyof typeof onnxType

/** A dimension: fixed, or symbolic by its name. */
export type Dim = number | string
export type Value = { name: string; type: OnnxType; shape: readonly Dim[] }
export type Attribute =
  | { name: string; int: number }
  | { name: string; ints: readonly number[] }
  | { name: string; graph: Graph }
export type Node = {
  op: string
  inputs: readonly string[]
  outputs: readonly string[]
  attributes?: readonly Attribute[]
}
export type Initializer = { name: string; type: OnnxType; shape: readonly number[]; raw: Uint8Array }
export type Graph = {
  nodes: readonly Node[]
  inputs: readonly Value[]
  outputs: readonly Value[]
  initializers?: readonly Initializer[]
}

function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    bytes.push(rest === 0n ? low : low | 0x80)
  } while (rest !== 0n)
  return Buffer.from(bytes)
}

const integer = (field: number, value: number | bigint) => Buffer.concat([varint(field << 3), varint(value)])
const bytes = (field: number, value: Uint8Array) =>
  Buffer.concat([varint((field << 3) | 2), varint(value.byteLength), value])
const text = (field: number, value: string) => bytes(field, Buffer.from(value))

function valueInfo(value: Value): Buffer {
  const dims = value.shape.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)))
  const tensorType = Buffer.concat([integer(1, onnxType[value.type]), bytes(2, Buffer.concat(dims))])
  return Buffer.concat([text(1, value.name), bytes(2, bytes(1, tensorType))])
}

function attribute(value: Attribute): Buffer {
  if ('int' in value) return Buffer.concat([text(1, value.name), integer(3, value.int), integer(20, 2)])
  if ('ints' in value) {
    return Buffer.concat([text(1, value.name), ...value.ints.map((int) => integer(8, int)), integer(20, 7)])
  }
  return Buffer.concat([text(1, value.name), bytes(6, encodeGraph(value.graph)), integer(20, 5)])
}

function node(value: Node): Buffer {
  return Buffer.concat([
    ...value.inputs.map((name) => text(1, name)),
    ...value.outputs.map((name) => text(2, name)),
    text(4, value.op),
    ...(value.attributes ?? []).map((item) => bytes(5, attribute(item))),
  ])
}

function initializer(value: Initializer): Buffer {
  return Buffer.concat([
    ...value.shape.map((dim) => integer(1, dim)),
    integer(2, onnxType[value.type]),
    text(8, value.name),
    bytes(9, value.raw),
  ])
}

function encodeGraph(graph: Graph): Buffer {
  return Buffer.concat([
    ...graph.nodes.map((item) => bytes(1, node(item))),
    text(2, 'graph'),
    ...(graph.initializers ?? []).map((item) => bytes(5, initializer(item))),
    ...graph.inputs.map((item) => bytes(11, valueInfo(item))),
    ...graph.outputs.map((item) => bytes(12, valueInfo(item))),
  ])
}

/** The bytes of a ModelProto of IR version 9 over the standard operator domain. */
export function onnxModel(graph: Graph, opset = 19): Buffer {
  const operatorSet = integer(2, opset)
  return Buffer.concat([integer(1, 9), bytes(7, encodeGraph(graph)), bytes(8, operatorSet)])
}

/** A model with one input `x` and one output `y` of the same type and shape, joined by `Identity`. */
export function identityModel(type: OnnxType, shape: readonly Dim[] = ['n']): Buffer {
  return onnxModel({
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type, shape }],
  })
}

/** `y = a + b` over two FP32 vectors of the same dynamic length. */
export function addModel(): Buffer {
  return onnxModel({
    nodes: [{ op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
    inputs: [
      { name: 'a', type: 'FP32', shape: ['n'] },
      { name: 'b', type: 'FP32', shape: ['n'] },
    ],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
  })
}

/** INT64 bytes, as initializers and raw tensors have them. */
export function int64Bytes(...values: number[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer)
}

/** Adds 1 to `x` as often as the scalar `n` says, in a Loop: its time grows with `n`, about a microsecond a turn. */
export function slowModel(): Buffer {
  const body: Graph = {
    nodes: [
      { op: 'Identity', inputs: ['go'], outputs: ['goOn'] },
      { op: 'Add', inputs: ['v', 'one'], outputs: ['vNext'] },
    ],
    inputs: [
      { name: 'turn', type: 'INT64', shape: [] },
      { name: 'go', type: 'BOOL', shape: [] },
      { name: 'v', type: 'FP32', shape: [1] },
    ],
    outputs: [
      { name: 'goOn', type: 'BOOL', shape: [] },
      { name: 'vNext', type: 'FP32', shape: [1] },
    ],
    initializers: [{ name: 'one', type: 'FP32', shape: [1], raw: new Uint8Array(Float32Array.of(1).buffer) }],
  }
  return onnxModel({
    nodes: [{ op: 'Loop', inputs: ['n', '', 'x'], outputs: ['y'], attributes: [{ name: 'body', graph: body }] }],
    inputs: [
      { name: 'n', type: 'INT64', shape: [] },
      { name: 'x', type: 'FP32', shape: [1] },
    ],
    outputs: [{ name: 'y', type: 'FP32', shape: [1] }],
  })
}

/** Picks rows of a fixed table by index: an index out of range makes the run fail. */
export function gatherModel(): Buffer {
  return onnxModel({
    nodes: [{ op: 'Gather', inputs: ['table', 'index'], outputs: ['y'] }],
    inputs: [{ name: 'index', type: 'INT64', shape: ['n'] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
    initializers: [{ name: 'table', type: 'FP32', shape: [2], raw: new Uint8Array(Float32Array.of(10, 20).buffer) }],
  })
}

/** Fills a tensor of the shape that the request names with zeros: a small request, an answer of any size. */
export function growModel(): Buffer {
  return onnxModel({
    nodes: [{ op: 'ConstantOfShape', inputs: ['shape'], outputs: ['y'] }],
    inputs: [{ name: 'shape', type: 'INT64', shape: [1] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
  })
}

/** `y = x + x` for rows of `columns` numbers: every row by itself. */
export function rowsModel(columns: Dim = 2, type: OnnxType = 'FP32'): Buffer {
  return perRows([{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }], { columns, type })
}

/** Subtracts the mean of all rows: the first dimension is free, and yet no batch axis. */
export function centredModel(): Buffer {
  return perRows(
    [
      { op: 'ReduceMean', inputs: ['x', 'axis'], outputs: ['mean'] },
      { op: 'Sub', inputs: ['x', 'mean'], outputs: ['y'] },
    ],
    { axis: 0 },
  )
}

/** Sums of the rows so far: a row depends on those before it, as in a sequence. */
export function runningSumModel(): Buffer {
  return perRows([{ op: 'CumSum', inputs: ['x', 'axis'], outputs: ['y'] }], { axis: 0 })
}

/** The sum of all rows, one number for a request whatever its rows. */
export function totalModel(): Buffer {
  return perRows(
    [{ op: 'ReduceSum', inputs: ['x', 'axis'], outputs: ['y'], attributes: [{ name: 'keepdims', int: 1 }] }],
    { axis: 0 },
  )
}

/** Zeros in the shape of the input: its answers tell nothing. */
export function sameForAllModel(): Buffer {
  return perRows([{ op: 'Sub', inputs: ['x', 'x'], outputs: ['y'] }], {})
}

/** Picks a row of two numbers by each row's index: an index out of range makes the run fail. */
export function gatherRowsModel(): Buffer {
  return onnxModel({
    nodes: [{ op: 'Gather', inputs: ['table', 'index'], outputs: ['y'] }],
    inputs: [{ name: 'index', type: 'INT64', shape: ['n', 1] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n', 1, 2] }],
    initializers: [
      { name: 'table', type: 'FP32', shape: [2, 2], raw: new Uint8Array(Float32Array.of(10, 11, 20, 21).buffer) },
    ],
  })
}

function perRows(
  nodes: readonly Node[],
  { columns = 2, type = 'FP32', axis }: { columns?: Dim; type?: OnnxType; axis?: number },
): Buffer {
  return onnxModel({
    nodes,
    inputs: [{ name: 'x', type, shape: ['n', columns] }],
    outputs: [{ name: 'y', type, shape: ['n', columns] }],
    ...(axis !== undefined && {
      initializers: [{ name: 'axis', type: 'INT64', shape: [1], raw: int64Bytes(axis) }],
    }),
  })
}

/** Passes two inputs of different types through; the outputs are in the other order. */
export function twoWayModel(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'Identity', inputs: ['numbers'], outputs: ['sameNumbers'] },
      { op: 'Identity', inputs: ['words'], outputs: ['sameWords'] },
    ],
    inputs: [
      { name: 'numbers', type: 'FP32', shape: ['n', 2] },
      { name: 'words', type: 'BYTES', shape: ['m'] },
    ],
    outputs: [
      { name: 'sameWords', type: 'BYTES', shape: ['m'] },
      { name: 'sameNumbers', type: 'FP32', shape: ['n', 2] },
    ],
  })
}
