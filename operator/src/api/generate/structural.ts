import { z } from 'zod'
import type { Rule } from '../rule.ts'

/** A structural OpenAPI v3 schema as `apiextensions.k8s.io/v1` accepts it; only the keywords that Hansa uses. */
export type StructuralSchema = {
  description?: string
  type: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  format?: string
  enum?: readonly string[]
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minItems?: number
  maxItems?: number
  maxProperties?: number
  required?: readonly string[]
  properties?: Record<string, StructuralSchema>
  items?: StructuralSchema
  additionalProperties?: StructuralSchema
  'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic'
  'x-kubernetes-list-map-keys'?: readonly string[]
  'x-kubernetes-validations'?: readonly Rule[]
}

// The order of this list is the order in the generated files.
const copied = [
  'description',
  'type',
  'format',
  'enum',
  'default',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const

// `propertyNames` is not allowed in a CRD; a rule over the map says what keys must be.
const dropped = new Set(['$schema', 'propertyNames'])
const types = new Set(['object', 'array', 'string', 'integer', 'boolean'])

const nodeSchema = z.record(z.string(), z.unknown())

/**
 * The structural schema of a zod object, from what a user may write (`io: 'input'`). Throws, naming the path, on everything that
 * an API server would refuse or that the conventions forbid: unions, references, floats, unbounded lists, maps and strings.
 */
export function structuralSchema(schema: z.ZodType, path: string): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'throw' }), path)
}

function convert(input: unknown, path: string): StructuralSchema {
  if (typeof input !== 'object') throw new Error(`${path}: must have a schema; additionalProperties: false is refused`)
  const node = nodeSchema.parse(input)
  const { type } = node
  if (typeof type !== 'string' || !types.has(type)) {
    throw new Error(`${path}: must have one of the types ${[...types].join(', ')}, but has ${JSON.stringify(type)}`)
  }
  const result: Record<string, unknown> = {}
  for (const keyword of copied) if (node[keyword] !== undefined) result[keyword] = node[keyword]
  // zod bounds every integer by what a double can hold; that is no bound of ours.
  if (result.minimum === Number.MIN_SAFE_INTEGER) delete result.minimum
  if (result.maximum === Number.MAX_SAFE_INTEGER) delete result.maximum
  // The API server checks the format itself, and better than zod's long pattern.
  if (result.format === 'date-time') delete result.pattern
  if (node.properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(nodeSchema.parse(node.properties)).map(([name, child]) => [
        name,
        convert(child, `${path}.${name}`),
      ]),
    )
  }
  if (node.items !== undefined) result.items = convert(node.items, `${path}[]`)
  if (node.additionalProperties !== undefined) {
    result.additionalProperties = convert(node.additionalProperties, `${path}{}`)
  }
  const unknown = Object.keys(node).filter((key) => !(key in result) && !dropped.has(key) && !isDropped(key, node))
  if (unknown.length > 0) throw new Error(`${path}: must not use ${unknown.join(', ')} in a custom resource`)
  // Only keywords of StructuralSchema were copied, and `type` was checked above.
  const schema = result as StructuralSchema
  demandBounds(schema, path)
  return schema
}

function isDropped(key: string, node: Record<string, unknown>): boolean {
  return (key === 'minimum' || key === 'maximum' || key === 'pattern') && node[key] !== undefined
}

/** Without bounds the API server cannot estimate the cost of CEL rules, and a stranger could fill etcd. */
function demandBounds(schema: StructuralSchema, path: string): void {
  if (schema.type === 'array' && schema.maxItems === undefined) throw new Error(`${path}: a list must have maxItems`)
  if (schema.type === 'array' && schema['x-kubernetes-list-type'] === undefined) {
    throw new Error(`${path}: a list must say its x-kubernetes-list-type`)
  }
  if (schema.additionalProperties !== undefined && schema.maxProperties === undefined) {
    throw new Error(`${path}: a map must have maxProperties`)
  }
  const bounded = schema.maxLength !== undefined || schema.enum !== undefined || schema.format === 'date-time'
  if (schema.type === 'string' && !bounded) throw new Error(`${path}: a string must have maxLength`)
  if (schema.type === 'integer' && schema.format === undefined)
    throw new Error(`${path}: an integer must have a format`)
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (child.description === undefined) throw new Error(`${path}.${name}: must have a description`)
  }
  for (const { message } of schema['x-kubernetes-validations'] ?? []) {
    if (!message.includes('must')) throw new Error(`${path}: the message of a rule must say what "must" be: ${message}`)
  }
}
