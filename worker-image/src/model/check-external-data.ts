import { dirname, join } from 'node:path/posix'
import { type CheckContext, refuse } from './check-context.ts'
import type { onnx } from './generated/onnx.js'
import { quote } from './model-refused.ts'
import { isPlainPath } from './plain-path.ts'

const knownKeys = new Set(['location', 'offset', 'length', 'checksum', 'basepath'])

/**
 * Checks where a tensor says its data is: a file that the Model lists, below the folder of the .onnx file, with `bytes` in it
 * from the offset on. ONNX Runtime resolves the location against that folder.
 */
export function checkExternalData(tensor: onnx.TensorProto, bytes: bigint, context: CheckContext, where: string): void {
  const entries = new Map<string, string>()
  for (const entry of tensor.externalData) {
    const key = entry.key ?? ''
    if (entries.has(key)) throw refuse(context, 'DuplicateField', where, `external data says ${quote(key)} twice`)
    entries.set(key, entry.value ?? '')
  }
  for (const key of entries.keys()) {
    // Among the others are ONNX Runtime's prepacked weights, whose layout it trusts.
    if (!knownKeys.has(key)) {
      throw refuse(context, 'ExternalDataRefused', where, `external data has the unknown key ${quote(key)}`)
    }
  }
  if ((entries.get('basepath') ?? '') !== '') {
    throw refuse(context, 'ExternalDataRefused', where, 'external data sets another base folder')
  }
  const location = entries.get('location')
  if (location === undefined || location === '') {
    throw refuse(context, 'ExternalDataRefused', where, 'external data has no location')
  }
  if (location.includes('_ORT_MEM_ADDR_')) {
    throw refuse(context, 'ExternalDataRefused', where, 'external data points into memory')
  }
  if (!isPlainPath(location)) {
    throw refuse(
      context,
      'ExternalDataRefused',
      where,
      `external data at ${quote(location)} is outside the model folder`,
    )
  }
  const path = join(dirname(context.file), location)
  const size = context.sizes.get(path)
  if (size === undefined) {
    throw refuse(
      context,
      'ExternalDataRefused',
      where,
      `external data at ${quote(path)}, which spec.files does not list`,
    )
  }
  if (path.endsWith('.onnx')) {
    throw refuse(context, 'ExternalDataRefused', where, 'external data inside an .onnx file')
  }
  const offset = natural(entries.get('offset') ?? '0', 'offset', context, where)
  const length = entries.has('length') ? natural(entries.get('length') ?? '', 'length', context, where) : bytes
  if (length !== bytes) {
    throw refuse(context, 'ShapeRefused', where, `external data of ${length} bytes for a shape of ${bytes} bytes`)
  }
  if (offset + bytes > BigInt(size)) {
    throw refuse(context, 'ExternalDataRefused', where, `external data ends beyond the end of ${quote(path)}`)
  }
}

function natural(text: string, name: string, context: CheckContext, where: string): bigint {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) {
    throw refuse(context, 'ExternalDataRefused', where, `external data has the ${name} ${quote(text)}`)
  }
  return BigInt(text)
}
