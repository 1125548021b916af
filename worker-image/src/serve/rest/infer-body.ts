import { z } from 'zod'

const parameter = z.union([z.string().max(4096), z.number(), z.boolean()])
const parameters = z.record(z.string().max(256), parameter).optional()

/** The JSON of an infer request once its tensor data is cut out (`data` is then an index). */
export const inferBodySchema = z.object({
  id: z.string().max(1024).optional(),
  parameters,
  inputs: z
    .array(
      z.object({
        name: z.string().min(1).max(1024),
        datatype: z.string().max(16),
        shape: z.array(z.int().min(0)).max(64),
        parameters,
        data: z.int().min(0).optional(),
      }),
    )
    .max(256),
  outputs: z
    .array(z.object({ name: z.string().min(1).max(1024), parameters }))
    .max(256)
    .optional(),
})
export type InferBody = z.infer<typeof inferBodySchema>
export type Parameters = Record<string, string | number | boolean> | undefined
