/** What one ONNX file may hold at most; a count beyond is refused with `TooLarge`, a size of a tensor with `ShapeRefused`. */
export type ModelLimits = {
  /** Size of the protobuf file itself; protobuf readers stop at 2 GiB. */
  protobufBytes: number
  /** Messages inside messages. ONNX Runtime's reader stops at 100. */
  depth: number
  /** Messages of any kind in one file. */
  messages: number
  nodes: number
  tensors: number
  /** Values that are kept for the checks (names, dimensions, small tensors), counted and in bytes. */
  keptFields: number
  keptBytes: number
  /** One name or other string. */
  stringBytes: number
  rank: number
  /** Bytes of one tensor by its shape, whether stored or made while the model loads. */
  tensorBytes: number
  /** Nodes after every call of a model-local function is inlined. */
  inlinedNodes: number
}

export const defaultLimits: ModelLimits = {
  protobufBytes: 2 ** 31 - 1,
  depth: 64,
  messages: 4_000_000,
  nodes: 500_000,
  tensors: 500_000,
  keptFields: 8_000_000,
  keptBytes: 128 * 2 ** 20,
  stringBytes: 65_536,
  rank: 64,
  tensorBytes: 64 * 2 ** 30,
  inlinedNodes: 2_000_000,
}

/** Operator domains that a model may use; the cluster admin may name others. */
export const defaultDomains: readonly string[] = ['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft']
