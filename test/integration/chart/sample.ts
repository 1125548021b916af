import fc from 'fast-check'
import { z } from 'zod'

const draft = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  format: z.string().optional(),
  pattern: z.string().optional(),
  minLength: z.int().default(0),
  maxLength: z.int().default(64),
  minimum: z.number().default(0),
  maximum: z.number().default(9),
  items: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).default({}),
  additionalProperties: z.unknown().optional(),
})

/** A value that the schema accepts, with every property, the same for the same seed. */
export function sampleOf(schema: z.ZodType, seed: number): unknown {
  return sample(z.toJSONSchema(schema, { io: 'input' }), seed)
}

function sample(schema: unknown, seed: number): unknown {
  const it = draft.parse(schema)
  if (it.enum !== undefined) return it.enum[seed % it.enum.length]
  switch (it.type) {
    case 'object': {
      const named = Object.entries(it.properties).map(([name, each]) => [name, sample(each, seed)] as const)
      const isRecord = typeof it.additionalProperties === 'object'
      return { ...Object.fromEntries(named), ...(isRecord && { cpu: sample(it.additionalProperties, seed) }) }
    }
    case 'array':
      return [sample(it.items, seed)]
    case 'integer':
    case 'number':
      return Math.min(Math.max(it.minimum, 1) + seed, it.maximum)
    case 'boolean':
      return seed % 2 === 0
    case 'string':
      return text(it, seed)
    default:
      throw new Error(`no sample for ${JSON.stringify(schema)}`)
  }
}

function text({ format, pattern, minLength, maxLength }: z.infer<typeof draft>, seed: number): string {
  if (format === 'date-time') return `2026-01-01T00:00:0${seed % 10}Z`
  const any =
    pattern === undefined
      ? fc.string({ unit: 'grapheme-ascii', minLength, maxLength: Math.max(minLength, Math.min(maxLength, 64)) })
      : fc.stringMatching(new RegExp(pattern)).filter(({ length }) => length >= minLength && length <= maxLength)
  const [value] = fc.sample(
    any.filter((each) => each !== ''),
    { seed, numRuns: 1 },
  )
  if (value === undefined) throw new Error(`no text for ${pattern}`)
  return value
}
