import type { StructuralSchema } from './structural.ts'

/** One row of a reference page. */
export type Field = {
  readonly path: string
  readonly type: string
  readonly required: boolean
  readonly default: string | undefined
  readonly bounds: readonly string[]
  readonly description: string
}

/** All fields below a schema, depth first, in the order of the schema. List items are `[]`. */
export function fieldsOf(schema: StructuralSchema, path: string): Field[] {
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    fieldWithChildren(child, `${path}.${name}`, required.has(name)),
  )
}

function fieldWithChildren(schema: StructuralSchema, path: string, required: boolean): Field[] {
  const own = field(schema, path, required)
  if (schema.items !== undefined) return [own, ...fieldsOf(schema.items, `${path}[]`)]
  return [own, ...fieldsOf(schema, path)]
}

/** All CEL rules at and below a schema with the path that they look at. */
export function rulesOf(schema: StructuralSchema, path: string): { path: string; message: string }[] {
  return [
    ...(schema['x-kubernetes-validations'] ?? []).map(({ message }) => ({ path, message })),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => rulesOf(child, `${path}.${name}`)),
    ...(schema.items === undefined ? [] : rulesOf(schema.items, `${path}[]`)),
    ...(schema.additionalProperties === undefined ? [] : rulesOf(schema.additionalProperties, `${path}{}`)),
  ]
}

function field(schema: StructuralSchema, path: string, required: boolean): Field {
  return {
    path,
    type: typeName(schema),
    required,
    default: schema.default === undefined ? undefined : defaultText(schema),
    bounds: [
      ...bounds(schema),
      ...(schema.items?.properties === undefined && schema.items ? bounds(schema.items).map((b) => `each ${b}`) : []),
      ...(schema.additionalProperties ? bounds(schema.additionalProperties).map((b) => `each value ${b}`) : []),
    ],
    description: schema.description ?? '',
  }
}

/** An object's default only repeats those of its fields. */
function defaultText(schema: StructuralSchema): string | undefined {
  return schema.type === 'object' ? undefined : JSON.stringify(schema.default)
}

function typeName(schema: StructuralSchema): string {
  if (schema.items !== undefined) return `list of ${typeName(schema.items)}`
  if (schema.additionalProperties !== undefined) return `map of ${typeName(schema.additionalProperties)}`
  if (schema.enum !== undefined) return schema.enum.join(', ')
  if (schema.type === 'string' && schema.format === 'date-time') return 'time'
  return schema.type
}

function bounds(schema: StructuralSchema): string[] {
  const list: string[] = []
  const range = (least: number | undefined, most: number | undefined, unit: string) => {
    if (least !== undefined && most !== undefined) list.push(`${least} to ${most}${unit}`)
    else if (most !== undefined) list.push(`at most ${most}${unit}`)
    else if (least !== undefined) list.push(`at least ${least}${unit}`)
  }
  range(schema.minimum, schema.maximum, '')
  if (schema.enum === undefined) range(schema.minLength, schema.maxLength, ' characters')
  range(schema.minItems, schema.maxItems, ' items')
  range(undefined, schema.maxProperties, ' entries')
  if (schema['x-kubernetes-list-map-keys']) list.push(`unique ${schema['x-kubernetes-list-map-keys'].join(' and ')}`)
  if (schema['x-kubernetes-list-type'] === 'set') list.push('unique')
  if (schema.pattern !== undefined) list.push(`must match \`${schema.pattern.replaceAll('\\/', '/')}\``)
  return list
}
