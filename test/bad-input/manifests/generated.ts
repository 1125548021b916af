import { rootSchema } from '@hansa/operator/api/generate/custom-resource-definition.ts'
import { kinds } from '@hansa/operator/api/generate/kinds.ts'
import type { StructuralSchema } from '@hansa/operator/api/generate/structural.ts'
import type { BadInputCase, Refusal } from '../case.ts'
import { apiPath, attempt, type ManifestContext } from './cluster.ts'
import { type Path, pathText, spoil, valueAt } from './spoil.ts'
import {
  externalService,
  httpsModel,
  hubModel,
  localModel,
  type Manifest,
  ociModel,
  pvcModel,
  service,
} from './valid.ts'

/** One way to spoil a field, and what the API server says of it. */
type Spoiled = { readonly how: string; readonly value: unknown; readonly expected: Refusal }

/** A valid manifest with one field spoiled. */
export type SpoiledManifest = {
  readonly name: string
  readonly kind: string
  readonly how: string
  readonly body: Manifest
  readonly expected: Refusal
}

/** For every field of every kind: wrong type, out of bounds, unknown value, missing, and one unknown field an object. */
export function spoiledManifests(): SpoiledManifest[] {
  const found = new Map<string, SpoiledManifest>()
  for (const base of [service, externalService, httpsModel, pvcModel, localModel, ociModel, hubModel]) {
    const valid = base('generated')
    const definition = kinds.find((each) => each.kind === valid.kind)
    if (definition === undefined) throw new Error(`no kind ${String(valid.kind)}`)
    const { kind } = definition
    for (const { path, spoiled } of walk(rootSchema(definition).properties.spec, ['spec'], true, valid)) {
      const { how, value, expected } = spoiled
      const name = `${kind} ${pathText(path)}: ${how}`
      // The bases overlap: the first one that has a field stands for it.
      if (!found.has(name)) found.set(name, { name, kind, how, body: spoil(valid, path, value), expected })
    }
  }
  return [...found.values()]
}

/** The same as cases. */
export function generatedCases(): BadInputCase<ManifestContext>[] {
  return spoiledManifests().map(({ name, kind, body, expected }) => manifestCase(name, kind, body, expected))
}

/** A case that posts a manifest. */
export function manifestCase(
  name: string,
  kind: string,
  body: Manifest | string,
  expected: Refusal,
): BadInputCase<ManifestContext> {
  return {
    name,
    expected,
    run: ({ owner }) => attempt(owner, { method: 'POST', path: apiPath(kind), body }),
  }
}

function* walk(
  schema: StructuralSchema,
  path: Path,
  required: boolean,
  valid: Manifest,
): Generator<{ path: Path; spoiled: Spoiled }> {
  const value = valueAt(valid, path)
  if (value === undefined) return
  for (const spoiled of ways(schema, pathText(path), required, value)) yield { path, spoiled }
  if (schema.properties !== undefined) {
    const unknown = [...path, 'surprise']
    const message = `unknown field "${pathText(unknown)}"`
    yield { path: unknown, spoiled: { how: 'an unknown field', value: 'x', expected: { status: 400, message } } }
  }
  const needed = new Set(schema.required)
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    yield* walk(child, [...path, name], needed.has(name), valid)
  }
  // Items of a list exist or not; none of them is required.
  if (schema.items !== undefined) yield* walk(schema.items, [...path, 0], false, valid)
  if (schema.additionalProperties !== undefined && isRecord(value)) {
    for (const key of Object.keys(value).slice(0, 1)) {
      yield* walk(schema.additionalProperties, [...path, key], false, valid)
    }
  }
}

function* ways(schema: StructuralSchema, path: string, required: boolean, value: unknown): Generator<Spoiled> {
  const way = (how: string, spoiledValue: unknown, piece: string): Spoiled => ({
    how,
    value: spoiledValue,
    expected: { status: 422, message: new RegExp(`${escapeRegExp(path)}: .*${escapeRegExp(piece)}`, 's') },
  })
  const wrong = schema.type === 'string' ? 7 : 'seven'
  yield way('a wrong type', wrong, `must be of type ${schema.type}`)
  if (required) yield way('missing', undefined, 'Required value')
  if (schema.type === 'integer') yield way('a fraction', 1.5, 'must be of type integer')
  if (schema.minimum !== undefined) {
    yield way('too small', schema.minimum - 1, `should be greater than or equal to ${schema.minimum}`)
  }
  if (schema.maximum !== undefined) {
    yield way('too large', schema.maximum + 1, `should be less than or equal to ${schema.maximum}`)
  }
  if (schema.enum !== undefined) yield way('an unknown value', 'Sometimes', 'Unsupported value: "Sometimes"')
  if (schema.maxLength !== undefined) {
    yield way('too long', 'a'.repeat(schema.maxLength + 1), `may not be more than ${schema.maxLength} bytes`)
  }
  if ((schema.minLength ?? 0) > 0) yield way('empty', '', `should be at least ${schema.minLength} chars long`)
  if (schema.pattern !== undefined) yield way('against the pattern', '-\t../', 'should match')
  if ((schema.minItems ?? 0) > 0) yield way('an empty list', [], `should have at least ${schema.minItems} items`)
  if (schema.maxItems !== undefined && Array.isArray(value)) {
    const many = Array.from({ length: schema.maxItems + 1 }, () => value[0])
    yield way('too many items', many, `must have at most ${schema.maxItems} items`)
    if (schema['x-kubernetes-list-type'] !== 'atomic') {
      yield {
        ...way('the same item twice', [value[0], value[0]], ''),
        expected: { status: 422, message: `${path}[1]: Duplicate value` },
      }
    }
  }
  if (schema.maxProperties !== undefined) {
    const count = schema.maxProperties + 1
    const many = Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, '1']))
    yield way('too many entries', many, `must have at most ${schema.maxProperties} items`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
