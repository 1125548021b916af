import { z } from 'zod'
import { type CustomResource, conditionSchema } from './resource.ts'
import { listMap } from './rule.ts'
import { objectName } from './scalar.ts'

export const accessKeySpecSchema = z.object({
  services: z
    .array(objectName)
    .min(1)
    .max(64)
    .meta({ description: 'InferenceServices of this namespace that the key opens.', 'x-kubernetes-list-type': 'set' }),
  secrets: z
    .array(
      z.object({
        id: z
          .string()
          .max(16)
          .regex(/^[0-9a-z]{16}$/)
          .meta({ description: 'Public part of the key, by which a gateway finds it; also in logs.' }),
        sha256: z
          .string()
          .max(64)
          .regex(/^[0-9a-f]{64}$/)
          .meta({
            description:
              'SHA-256 of the whole key. A key has 256 random bits, so that a slow password hash would add nothing.',
          }),
        notAfter: z.string().max(40).optional().meta({
          format: 'date-time',
          description: 'The secret is refused from then on.',
        }),
      }),
    )
    .min(1)
    .max(4)
    .meta({
      description:
        'Hashes of the accepted secrets; two while one is rotated out. `kubectl hansa key create` and `rotate` fill these in.',
      ...listMap('id'),
    }),
  limits: z
    .object({
      requestsPerMinute: z
        .int()
        .min(1)
        .max(1_000_000)
        .optional()
        .meta({ format: 'int32', description: 'Requests a minute in one gateway; more get 429.' }),
      inFlight: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .meta({ format: 'int32', description: 'Requests at once in one gateway; more get 429.' }),
    })
    .default({})
    .meta({ description: 'Limits of this key.' }),
  suspend: z.boolean().default(false).meta({ description: 'true refuses the key until it is false again.' }),
  description: z.string().max(256).optional().meta({ description: 'Who has it, and what for.' }),
})

export const accessKeyStatusSchema = z.object({
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .meta({ format: 'int64', description: 'Generation that the status is for.' }),
  notAfter: z
    .string()
    .max(40)
    .optional()
    .meta({ format: 'date-time', description: 'When the last of its secrets expires; absent when one never does.' }),
  conditions: z
    .array(conditionSchema)
    .max(16)
    .optional()
    .meta({ description: '`Ready`: gateways accept the key.', ...listMap('type') }),
})

export type AccessKeySpec = z.infer<typeof accessKeySpecSchema>
export type AccessKeyStatus = z.infer<typeof accessKeyStatusSchema>
export type AccessKey = CustomResource<AccessKeySpec, AccessKeyStatus>
