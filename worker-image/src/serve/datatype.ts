/** Tensor datatypes of the Open Inference Protocol that the runtime can carry; BF16 is known but not served. */
export const datatypes = [
  'BOOL',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const

export type Datatype = (typeof datatypes)[number]

const names = new Set<string>(datatypes)

export function isDatatype(name: string): name is Datatype {
  return names.has(name)
}

/** Bytes of one element; undefined for BYTES, whose elements have their own lengths. */
export const elementBytes = {
  BOOL: 1,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: undefined,
} satisfies Record<Datatype, number | undefined>

/** The type names of ONNX Runtime, by datatype of the protocol. */
export const runtimeTypes = {
  BOOL: 'bool',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
} as const satisfies Record<Datatype, string>

const fromRuntime = new Map<string, Datatype>(datatypes.map((datatype) => [runtimeTypes[datatype], datatype]))

/** The protocol's name of a runtime type; undefined for types that the protocol does not have (such as int4). */
export function datatypeOf(runtimeType: string): Datatype | undefined {
  return fromRuntime.get(runtimeType)
}
