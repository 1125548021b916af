import { gatherModel, growModel, identityModel, type OnnxType, slowModel, twoWayModel } from '../builders/onnx-model.ts'
import type { Datatype } from './samples.ts'

/** The services that the contract is checked on; each serves a model of its own, made here. */
export type ServiceName =
  | `type-${Lowercase<Datatype>}`
  | 'pair'
  | 'scalar'
  | 'matrix'
  | 'fixed'
  | 'gather'
  | 'grow'
  | 'slow'

/** Bytes that requests and answers of every service may have. */
export const limitBytes = 256 << 10

const typed = (type: OnnxType) => ({ [`type-${type.toLowerCase()}`]: () => identityModel(type, ['n', 2]) })

/** `type-*`: x [n,2] to y; `pair`: numbers FP32 [n,2] and words BYTES [m] to sameWords and sameNumbers; the rest by name. */
export const models: Readonly<Record<string, () => Uint8Array>> = {
  ...typed('BOOL'),
  ...typed('INT8'),
  ...typed('INT16'),
  ...typed('INT32'),
  ...typed('INT64'),
  ...typed('UINT8'),
  ...typed('UINT16'),
  ...typed('UINT32'),
  ...typed('UINT64'),
  ...typed('FP16'),
  ...typed('FP32'),
  ...typed('FP64'),
  ...typed('BYTES'),
  pair: twoWayModel,
  scalar: () => identityModel('INT64', []),
  matrix: () => identityModel('FP32', ['n', 'm', 3]),
  fixed: () => identityModel('FP32', [2, 2]),
  gather: gatherModel,
  grow: growModel,
  slow: slowModel,
}
