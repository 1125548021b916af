import { type CheckContext, refuse } from './check-context.ts'
import type { onnx } from './generated/onnx.js'
import { quote } from './model-refused.ts'

/** Name that calls resolve by (onnx.proto, FunctionProto): domain, name and overload. */
export function functionKey(domain: string, name: string, overload: string): string {
  return JSON.stringify([normalDomain(domain), name, overload])
}

/** `ai.onnx` is another spelling of the empty domain. */
export function normalDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

const standardDomain = /^(ai\.onnx|com\.microsoft|com\.ms)(\.|$)/

/**
 * Checks the model-local functions among themselves: none twice, none in a domain of real operators, none that calls itself by
 * whatever way, and no nest of calls that explodes when it is inlined. Returns their keys.
 */
export function checkFunctions(model: onnx.ModelProto, context: CheckContext): ReadonlySet<string> {
  const functions = new Map<string, { where: string; nodes: readonly onnx.NodeProto.$Properties[] }>()
  for (const [index, fn] of model.functions.entries()) {
    const where = `functions[${index}]`
    const domain = fn.domain ?? ''
    if (domain === '' || context.domains.has(normalDomain(domain)) || standardDomain.test(domain)) {
      throw refuse(context, 'FunctionRefused', where, `is defined in the domain ${quote(domain)} of real operators`)
    }
    if ((fn.name ?? '') === '') throw refuse(context, 'FunctionRefused', where, 'has no name')
    const key = functionKey(domain, fn.name ?? '', fn.overload ?? '')
    if (functions.has(key)) throw refuse(context, 'FunctionRefused', where, `${quote(fn.name ?? '')} is defined twice`)
    functions.set(key, { where, nodes: fn.node ?? [] })
  }
  const sizes = new Map<string, number>()
  const open = new Set<string>()

  // Recursion is bounded by the limit on the call depth below.
  const inlined = (nodes: readonly onnx.NodeProto.$Properties[], where: string): number => {
    let total = 0
    for (const node of nodes) {
      total += 1
      for (const attribute of node.attribute ?? []) {
        if (attribute.g != null) total += inlined(attribute.g.node ?? [], where)
        for (const graph of attribute.graphs ?? []) total += inlined(graph.node ?? [], where)
      }
      const key = functionKey(node.domain ?? '', node.opType ?? '', node.overload ?? '')
      const callee = functions.get(key)
      if (callee !== undefined) total += sizeOf(key, callee)
      if (total > context.limits.inlinedNodes) {
        throw refuse(context, 'FunctionRefused', where, `calls become more than ${context.limits.inlinedNodes} nodes`)
      }
    }
    return total
  }
  const sizeOf = (key: string, fn: { where: string; nodes: readonly onnx.NodeProto.$Properties[] }): number => {
    const known = sizes.get(key)
    if (known !== undefined) return known
    if (open.has(key)) throw refuse(context, 'FunctionRefused', fn.where, 'calls itself')
    if (open.size >= context.limits.depth) {
      throw refuse(context, 'FunctionRefused', fn.where, `calls are nested more than ${context.limits.depth} deep`)
    }
    open.add(key)
    const size = inlined(fn.nodes, fn.where)
    open.delete(key)
    sizes.set(key, size)
    return size
  }
  for (const [key, fn] of functions) sizeOf(key, fn)
  inlined(model.graph?.node ?? [], 'graph')
  return new Set(functions.keys())
}
