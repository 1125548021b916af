import { type CheckContext, refuse, toBigInt } from './check-context.ts'
import { functionKey, normalDomain } from './check-functions.ts'
import { checkSparseTensor, checkTensor, smallInts } from './check-tensor.ts'
import { checkType } from './check-type.ts'
import type { onnx } from './generated/onnx.js'
import { quote } from './model-refused.ts'
import { elementsOf } from './shape.ts'

type Visit = CheckContext & { readonly functions: ReadonlySet<string> }
/** Small INT64 constants in scope, by value name: what operators that make a tensor of a given shape are told. */
type Constants = ReadonlyMap<string, bigint[]>

/** Which input of an operator is the shape of its output. */
const shapeInput: Record<string, number> = { ConstantOfShape: 0, Expand: 1, Reshape: 1 }

/** Checks everything that a graph holds, subgraphs included. */
export function checkGraph(graph: onnx.GraphProto, visit: Visit, where: string, outer: Constants = new Map()): void {
  const constants = new Map(outer)
  for (const [index, tensor] of graph.initializer.entries()) {
    // The decoder gives message instances; only its type allows plain objects. The same holds for the casts below.
    checkTensor(tensor as onnx.TensorProto, visit, `${where}.initializer[${index}]`)
    remember(constants, tensor.name ?? '', tensor as onnx.TensorProto)
  }
  for (const [index, sparse] of graph.sparseInitializer.entries()) {
    checkSparseTensor(sparse as onnx.SparseTensorProto, visit, `${where}.sparseInitializer[${index}]`)
  }
  for (const list of ['input', 'output', 'valueInfo'] as const) {
    for (const [index, value] of graph[list].entries()) {
      if (value.type != null) checkType(value.type, visit, `${where}.${list}[${index}]`)
    }
  }
  checkNodes(graph.node, visit, where, constants)
}

/** Checks the nodes of a graph or of a function. */
export function checkNodes(
  nodes: readonly onnx.NodeProto.$Properties[],
  visit: Visit,
  where: string,
  constants: Map<string, bigint[]>,
): void {
  for (const [index, node] of nodes.entries()) {
    const place = `${where}.node[${index}]`
    checkOperator(node, visit, place)
    for (const [position, attribute] of (node.attribute ?? []).entries()) {
      checkAttribute(attribute, visit, `${place}.attribute[${position}]`, constants)
      const output = node.output?.[0]
      if (node.opType === 'Constant' && output !== undefined && attribute.t != null) {
        remember(constants, output, attribute.t as onnx.TensorProto)
      }
    }
    checkMadeShape(node, visit, place, constants)
  }
}

function checkOperator(node: onnx.NodeProto.$Properties, visit: Visit, where: string): void {
  const domain = normalDomain(node.domain ?? '')
  const operator = node.opType ?? ''
  if (operator === '') throw refuse(visit, 'NotONNX', where, 'names no operator')
  const local = visit.functions.has(functionKey(domain, operator, node.overload ?? ''))
  if (!local && !visit.domains.has(domain)) {
    throw refuse(visit, 'OperatorDomainRefused', where, `${quote(operator)} is of the domain ${quote(domain)}`)
  }
  // An EPContext node names a compiled program for a device, inside the model or in a file beside it.
  if (operator === 'EPContext') {
    throw refuse(visit, 'OperatorDomainRefused', where, 'EPContext holds a compiled program that cannot be checked')
  }
}

/** Checks what an attribute of a node, or a default of a function's attribute, holds. */
export function checkAttribute(
  attribute: onnx.AttributeProto.$Properties,
  visit: Visit,
  where: string,
  constants: Constants,
): void {
  if (attribute.t != null) checkTensor(attribute.t as onnx.TensorProto, visit, `${where}.t`)
  for (const [index, tensor] of (attribute.tensors ?? []).entries()) {
    checkTensor(tensor as onnx.TensorProto, visit, `${where}.tensors[${index}]`)
  }
  if (attribute.sparseTensor != null) {
    checkSparseTensor(attribute.sparseTensor as onnx.SparseTensorProto, visit, `${where}.sparseTensor`)
  }
  for (const [index, sparse] of (attribute.sparseTensors ?? []).entries()) {
    checkSparseTensor(sparse as onnx.SparseTensorProto, visit, `${where}.sparseTensors[${index}]`)
  }
  if (attribute.g != null) checkGraph(attribute.g as onnx.GraphProto, visit, `${where}.g`, constants)
  for (const [index, graph] of (attribute.graphs ?? []).entries()) {
    checkGraph(graph as onnx.GraphProto, visit, `${where}.graphs[${index}]`, constants)
  }
  if (attribute.tp != null) checkType(attribute.tp, visit, `${where}.tp`)
  for (const [index, type] of (attribute.typeProtos ?? []).entries()) {
    checkType(type, visit, `${where}.typeProtos[${index}]`)
  }
}

function remember(constants: Map<string, bigint[]>, name: string, tensor: onnx.TensorProto): void {
  const values = smallInts(tensor)
  if (values.length > 0) constants.set(name, values)
  else constants.delete(name)
}

// ONNX Runtime folds constants while it loads: a few bytes of shape would become gigabytes before the first request.
function checkMadeShape(node: onnx.NodeProto.$Properties, visit: Visit, where: string, constants: Constants): void {
  if (normalDomain(node.domain ?? '') !== '') return
  const operator = node.opType ?? ''
  const input = shapeInput[operator]
  const shape = input === undefined ? undefined : constants.get(node.input?.[input] ?? '')
  if (shape !== undefined) {
    // -1 and 0 stand for a dimension of the input in Reshape and mean nothing harmful in Expand.
    const dims = operator === 'ConstantOfShape' ? shape : shape.filter((dim) => dim > 0n)
    elementsOf(dims.map(toNumber), 8, visit, where)
  }
  if (operator === 'RandomNormal' || operator === 'RandomUniform') {
    const attribute = (node.attribute ?? []).find((item) => item.name === 'shape')
    elementsOf(
      (attribute?.ints ?? []).map((dim) => toNumber(toBigInt(dim))),
      32,
      visit,
      where,
    )
  }
}

// Beyond 2^53 a dimension is refused whatever its last digits.
function toNumber(value: bigint): number {
  return Number(value)
}
