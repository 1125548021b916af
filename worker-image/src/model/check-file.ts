import type { ByteSource } from './byte-source.ts'
import { type CheckContext, refuse } from './check-context.ts'
import { checkFunctions, normalDomain } from './check-functions.ts'
import { checkAttribute, checkGraph, checkNodes } from './check-graph.ts'
import { checkType } from './check-type.ts'
import { onnx } from './generated/onnx.js'
import { quote } from './model-refused.ts'
import { scanModel } from './scan-model.ts'

/** Metadata that ONNX Runtime takes session options from (`ORT_LOAD_CONFIG_FROM_MODEL`): libraries and profiles to load. */
const refusedMetadata = new Set(['ort_config'])

/** Checks one ONNX file; throws `ModelRefused`. */
export function checkFile(source: ByteSource, context: CheckContext): void {
  const slim = scanModel(source, context.limits, context.file)
  const model = onnx.ModelProto.decode(slim)
  checkHeader(model, context)
  const visit = { ...context, functions: checkFunctions(model, context) }
  for (const [index, fn] of model.functions.entries()) {
    const where = `functions[${index}]`
    for (const [position, attribute] of (fn.attributeProto ?? []).entries()) {
      checkAttribute(attribute, visit, `${where}.attributeProto[${position}]`, new Map())
    }
    for (const value of fn.valueInfo ?? []) if (value.type != null) checkType(value.type, visit, where)
    checkNodes(fn.node ?? [], visit, where, new Map())
  }
  // The decoder gives message instances; only its type allows plain objects.
  checkGraph(model.graph as onnx.GraphProto, visit, 'graph')
  for (const [index, training] of model.trainingInfo.entries()) {
    for (const part of ['initialization', 'algorithm'] as const) {
      const graph = training[part]
      if (graph != null) checkGraph(graph as onnx.GraphProto, visit, `trainingInfo[${index}].${part}`)
    }
  }
}

function checkHeader(model: onnx.ModelProto, context: CheckContext): void {
  if (model.graph == null) throw refuse(context, 'NotONNX', 'the file', 'has no graph')
  const version = Number(model.irVersion)
  if (!(version >= 1 && version <= 1000)) throw refuse(context, 'NotONNX', 'irVersion', `is ${version}`)
  const domains = new Set<string>()
  for (const [index, { domain }] of model.opsetImport.entries()) {
    const name = normalDomain(domain ?? '')
    if (domains.has(name)) {
      throw refuse(context, 'DuplicateField', `opsetImport[${index}]`, `imports ${quote(name)} a second time`)
    }
    domains.add(name)
  }
  if (domains.size === 0 && version >= 3) throw refuse(context, 'NotONNX', 'opsetImport', 'is missing')
  const keys = new Set<string>()
  for (const [index, { key }] of model.metadataProps.entries()) {
    const name = key ?? ''
    if (refusedMetadata.has(name)) {
      throw refuse(
        context,
        'OperatorDomainRefused',
        `metadataProps[${index}]`,
        `${quote(name)} sets options of the runtime`,
      )
    }
    if (keys.has(name))
      throw refuse(context, 'DuplicateField', `metadataProps[${index}]`, `${quote(name)} a second time`)
    keys.add(name)
  }
}
