import type { Datatype } from '../datatype.ts'

export type ContentsForm = 'varint' | 'fixed' | 'bytes'

/** Which field of InferTensorContents holds a datatype; undefined for FP16, which has none. */
export const contentsFields = {
  BOOL: { field: 1, name: 'bool_contents', form: 'varint' },
  INT8: { field: 2, name: 'int_contents', form: 'varint' },
  INT16: { field: 2, name: 'int_contents', form: 'varint' },
  INT32: { field: 2, name: 'int_contents', form: 'varint' },
  INT64: { field: 3, name: 'int64_contents', form: 'varint' },
  UINT8: { field: 4, name: 'uint_contents', form: 'varint' },
  UINT16: { field: 4, name: 'uint_contents', form: 'varint' },
  UINT32: { field: 4, name: 'uint_contents', form: 'varint' },
  UINT64: { field: 5, name: 'uint64_contents', form: 'varint' },
  FP16: undefined,
  FP32: { field: 6, name: 'fp32_contents', form: 'fixed' },
  FP64: { field: 7, name: 'fp64_contents', form: 'fixed' },
  BYTES: { field: 8, name: 'bytes_contents', form: 'bytes' },
} as const satisfies Record<Datatype, { field: number; name: string; form: ContentsForm } | undefined>

export const lastContentsField = 8
