import type { ModelReason } from '@hansa/operator/api/model-reasons.ts'
import type Long from 'long'
import type { ModelLimits } from './limits.ts'
import { ModelRefused } from './model-refused.ts'

/** What every check of one ONNX file knows. */
export type CheckContext = {
  /** Path of the .onnx file, as the Model names it. */
  readonly file: string
  /** Size in bytes of every file of the Model, by path. */
  readonly sizes: ReadonlyMap<string, number>
  readonly limits: ModelLimits
  readonly domains: ReadonlySet<string>
}

/** The refusal of a place inside the file. */
export function refuse(context: CheckContext, reason: ModelReason, where: string, message: string): ModelRefused {
  return new ModelRefused(reason, `${where}: ${message}`, { file: context.file })
}

/** A 64-bit value of the decoder. */
export function toBigInt(value: Long | number | null | undefined): bigint {
  if (value === null || value === undefined) return 0n
  if (typeof value === 'number') return BigInt(value)
  return (BigInt(value.high) << 32n) | BigInt(value.low >>> 0)
}
