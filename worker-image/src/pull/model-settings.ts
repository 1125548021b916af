import { workerModelSchema } from '@hansa/operator/api/inference-service.ts'
import { modelFileSchema } from '@hansa/operator/api/model.ts'
import { z } from 'zod'

const longestModel = 1024 * 1024

/** The variable `HANSA_MODEL`: JSON, its files held to the same rules as `spec.files`. */
export const modelVariable = z
  .string()
  .max(longestModel)
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: 'is no JSON' })
      return z.NEVER
    }
  })
  .pipe(workerModelSchema.extend({ files: z.array(modelFileSchema).min(1).max(256) }))
  .meta({ description: 'the model as JSON: namespace, name, uid, format, files' })

/** Variables that `pull` and `verify` share. */
export const checkVariables = {
  HANSA_MODEL: modelVariable,
  HANSA_ENTRYPOINT: z
    .string()
    .optional()
    .meta({ description: 'path of the .onnx file to load, when there are several' }),
  HANSA_ALLOWED_DOMAINS: z
    .string()
    .default('')
    .transform((text) => text.split(',').filter((item) => item !== ''))
    .meta({ description: 'operator domains that models may use beside ONNX, ONNX-ML and com.microsoft' }),
  HANSA_CHECK_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .max(3600)
    .default(300)
    .meta({ description: 'longest time to check one ONNX file' }),
  HANSA_CHECK_HEAP_MEGABYTES: z.coerce
    .number()
    .int()
    .min(64)
    .max(65_536)
    .default(512)
    .meta({ description: 'heap of the process that checks' }),
  HANSA_TERMINATION_LOG: z
    .string()
    .default('/dev/termination-log')
    .meta({ description: 'where failures are reported' }),
}
