import { expect, test } from 'vitest'
import { z } from 'zod'
import { structuralSchema } from './structural.ts'

const text = z.string().max(10).meta({ description: 'Text.' })

test('a field with a default is not required, and the object stays open', () => {
  const schema = structuralSchema(z.object({ a: text, b: text.default('x'), c: text.optional() }), 'spec')
  expect(schema.required).toEqual(['a'])
  expect(schema).not.toHaveProperty('additionalProperties')
  expect(schema.properties?.b?.default).toBe('x')
})

test("zod's own bounds of integers are dropped, ours are kept", () => {
  const integer = (schema: z.ZodInt) => schema.meta({ format: 'int64', description: 'A number.' })
  const schema = structuralSchema(z.object({ free: integer(z.int()), bound: integer(z.int().min(1).max(9)) }), 'spec')
  expect(schema.properties?.free).toEqual({ description: 'A number.', type: 'integer', format: 'int64' })
  expect(schema.properties?.bound).toMatchObject({ minimum: 1, maximum: 9 })
})

test('what the API server would refuse, or cannot bound, is refused with its path', () => {
  const refused = (field: z.ZodType) => () => structuralSchema(z.object({ field }), 'spec')
  expect(refused(z.union([text, z.boolean()]).meta({ description: 'x' }))).toThrow('spec.field')
  expect(refused(z.number().meta({ description: 'x' }))).toThrow('spec.field: must have one of the types')
  expect(refused(z.string().meta({ description: 'x' }))).toThrow('spec.field: a string must have maxLength')
  expect(refused(z.array(text).max(2).meta({ description: 'x' }))).toThrow('x-kubernetes-list-type')
  expect(refused(z.record(z.string(), text).meta({ description: 'x' }))).toThrow('a map must have maxProperties')
  expect(refused(z.strictObject({ a: text }).meta({ description: 'x' }))).toThrow('spec.field{}')
  expect(refused(z.string().max(3))).toThrow('spec.field: must have a description')
  expect(refused(z.int().min(0).max(1).meta({ description: 'x' }))).toThrow('an integer must have a format')
})

test('the message of a rule must say what is allowed', () => {
  const schema = z.object({}).meta({ 'x-kubernetes-validations': [{ rule: 'true', message: 'bad' }] })
  expect(() => structuralSchema(schema, 'spec')).toThrow('must')
})
