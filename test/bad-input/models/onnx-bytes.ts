/**
 * Writes ONNX models byte by byte, well-formed or not: a correct encoder could not make most hostile ones. Field numbers are
 * those of onnx.proto.
 */
export type Bytes = Uint8Array

export const join = (...parts: readonly Bytes[]): Buffer => Buffer.concat(parts)

/** A varint in its shortest form, negative numbers as 64-bit two's complement. */
export function varint(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Buffer.from(bytes)
}

export const tag = (field: number, wire: number) => varint(field * 8 + wire)
export const int = (field: number, value: number | bigint) => join(tag(field, 0), varint(value))
export const bytes = (field: number, value: Bytes) => join(tag(field, 2), varint(value.length), value)
export const text = (field: number, value: string) => bytes(field, Buffer.from(value))
export const message = (field: number, ...parts: readonly Bytes[]) => bytes(field, join(...parts))

export const entry = (field: number, key: string, value: string) => message(field, text(1, key), text(2, value))

export type TensorParts = {
  name?: string
  dims?: readonly (number | bigint)[]
  type?: number
  /** null: none. */
  raw?: Bytes | null
  /** Keys and values of external_data; sets data_location too. */
  external?: readonly (readonly [string, string])[]
  extra?: readonly Bytes[]
}

/** Content of a TensorProto: by default `w`, two floats in raw_data. */
export function tensor(parts: TensorParts = {}): Buffer {
  const { name = 'w', dims = [2], type = 1, external, extra = [] } = parts
  const raw = parts.raw === undefined ? (external === undefined ? Buffer.alloc(8) : null) : parts.raw
  return join(
    ...dims.map((dim) => int(1, dim)),
    int(2, type),
    text(8, name),
    ...(raw === null ? [] : [bytes(9, raw)]),
    ...(external ?? []).map(([key, value]) => entry(13, key, value)),
    ...(external === undefined ? [] : [int(14, 1)]),
    ...extra,
  )
}

/** Content of a SparseTensorProto: by default one float of eight. */
export function sparse(parts: { values?: TensorParts; indices?: TensorParts; dims?: readonly number[] } = {}): Buffer {
  return join(
    message(1, tensor({ name: 's', dims: [1], raw: Buffer.alloc(4), ...parts.values })),
    message(2, tensor({ name: '', dims: [1], type: 7, raw: Buffer.alloc(8), ...parts.indices })),
    ...(parts.dims ?? [8]).map((dim) => int(3, dim)),
  )
}

export type NodeParts = {
  inputs?: readonly string[]
  outputs?: readonly string[]
  domain?: string
  attributes?: readonly Bytes[]
  extra?: readonly Bytes[]
}

/** Content of a NodeProto. */
export function node(operator: string, parts: NodeParts = {}): Buffer {
  return join(
    ...(parts.inputs ?? ['x', 'w']).map((name) => text(1, name)),
    ...(parts.outputs ?? ['y']).map((name) => text(2, name)),
    text(4, operator),
    ...(parts.attributes ?? []).map((attribute) => bytes(5, attribute)),
    ...(parts.domain === undefined ? [] : [text(7, parts.domain)]),
    ...(parts.extra ?? []),
  )
}

/** Content of AttributeProtos. */
export const tensorAttribute = (name: string, value: Bytes) => join(text(1, name), bytes(5, value), int(20, 4))
export const graphAttribute = (name: string, value: Bytes) => join(text(1, name), bytes(6, value), int(20, 5))
export const intsAttribute = (name: string, values: readonly (number | bigint)[]) =>
  join(text(1, name), ...values.map((value) => int(8, value)), int(20, 7))

/** Content of a ValueInfoProto of floats. */
export function value(name: string, dims: readonly (number | bigint)[] = [2]): Buffer {
  const shape = join(...dims.map((dim) => message(1, int(1, dim))))
  return join(text(1, name), message(2, message(1, int(1, 1), bytes(2, shape))))
}

export type GraphParts = {
  nodes?: readonly Bytes[]
  initializers?: readonly Bytes[]
  sparse?: readonly Bytes[]
  inputs?: readonly Bytes[]
  outputs?: readonly Bytes[]
  extra?: readonly Bytes[]
}

/** Content of a GraphProto: by default `y = x + w` over two floats. */
export function graph(parts: GraphParts = {}): Buffer {
  return join(
    ...(parts.nodes ?? [node('Add')]).map((item) => bytes(1, item)),
    text(2, 'g'),
    ...(parts.initializers ?? [tensor()]).map((item) => bytes(5, item)),
    ...(parts.sparse ?? []).map((item) => bytes(15, item)),
    ...(parts.inputs ?? [value('x')]).map((item) => bytes(11, item)),
    ...(parts.outputs ?? [value('y')]).map((item) => bytes(12, item)),
    ...(parts.extra ?? []),
  )
}

/** Content of a FunctionProto. */
export function fn(name: string, domain: string, nodes: readonly Bytes[], extra: readonly Bytes[] = []): Buffer {
  return join(
    text(1, name),
    text(4, 'a'),
    text(5, 'b'),
    ...nodes.map((item) => bytes(7, item)),
    message(9, int(2, 19)),
    text(10, domain),
    ...extra,
  )
}

export type ModelParts = {
  graph?: Bytes
  functions?: readonly Bytes[]
  training?: readonly Bytes[]
  opsets?: readonly (readonly [string, number])[]
  extra?: readonly Bytes[]
}

/** A ModelProto: by default one that ONNX Runtime loads. */
export function model(parts: ModelParts = {}): Buffer {
  return join(
    int(1, 9),
    bytes(7, parts.graph ?? graph()),
    ...(parts.opsets ?? [['', 19] as const]).map(([domain, version]) => message(8, text(1, domain), int(2, version))),
    ...(parts.training ?? []).map((item) => bytes(20, item)),
    ...(parts.functions ?? []).map((item) => bytes(25, item)),
    ...(parts.extra ?? []),
  )
}
