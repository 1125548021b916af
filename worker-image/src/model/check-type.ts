import { type CheckContext, refuse } from './check-context.ts'
import type { onnx } from './generated/onnx.js'
import { bitsOf, elementsOf } from './shape.ts'

/** Checks the shapes in a declared type; the scanner has bounded how deep types are nested. */
export function checkType(type: onnx.TypeProto.$Properties, context: CheckContext, where: string): void {
  for (const tensor of [type.tensorType, type.sparseTensorType]) {
    if (tensor?.shape == null) continue
    const dims = tensor.shape.dim ?? []
    if (dims.length > context.limits.rank) {
      throw refuse(context, 'ShapeRefused', where, `has ${dims.length} dimensions, more than ${context.limits.rank}`)
    }
    const fixed = dims.filter((dim) => dim.dimValue != null).map((dim) => dim.dimValue)
    elementsOf(fixed, bitsOf(tensor.elemType ?? 0) ?? 8, context, where)
  }
  for (const inner of [type.sequenceType?.elemType, type.optionalType?.elemType, type.mapType?.valueType]) {
    if (inner != null) checkType(inner, context, where)
  }
}
