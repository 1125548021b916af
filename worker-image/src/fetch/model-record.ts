import { type FetchStateAnswer, fetchStateSchema } from '@hansa/operator/api/fetch-state.ts'
import { type ModelSource, modelFileSchema, modelSourceSchema } from '@hansa/operator/api/model.ts'
import { z } from 'zod'

const kubernetesName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)

/** Body of `PUT /v1/models/{uid}`. */
export const modelRequestSchema = z
  .strictObject({
    namespace: kubernetesName.max(63),
    name: kubernetesName,
    // The name of a folder too.
    uid: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/),
    generation: z.int().min(0),
    format: z.enum(['ONNX', 'TrainingBundle']),
    source: modelSourceSchema,
    files: z.array(modelFileSchema).min(1).max(256),
    entrypoint: z.string().min(1).max(255).optional(),
  })
  .refine(({ source }) => sourceKinds(source).length === 1 && source.pvc === undefined, {
    message:
      'source must have exactly one of https, oci, huggingFace, local and peer; files on a claim are checked by a Job',
    path: ['source'],
  })
  .refine(({ files }) => new Set(files.map(({ path }) => path)).size === files.length, {
    message: 'a path is listed twice',
    path: ['files'],
  })

/** The members of a source that are set. */
function sourceKinds(source: ModelSource): string[] {
  return Object.entries(source).flatMap(([kind, value]) => (value === undefined ? [] : [kind]))
}

export type ModelRequest = z.infer<typeof modelRequestSchema>

export type ModelState = FetchStateAnswer

export const modelRecordSchema = z.object({
  request: modelRequestSchema,
  state: fetchStateSchema,
  /** Digests that this model's own source has delivered: knowing a digest alone gives nobody the bytes. */
  delivered: z.array(z.string()),
  attempts: z.number(),
})

export type ModelRecord = z.infer<typeof modelRecordSchema>

/** A record that nothing has been done for yet. */
export function newRecord(request: ModelRequest): ModelRecord {
  const { uid, namespace, name, generation, files } = request
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  const pending = { phase: 'Pending', reason: 'Pending', message: 'waits for its turn', fetchedBytes: 0 } as const
  return { request, state: { uid, namespace, name, generation, ...pending, totalBytes }, delivered: [], attempts: 0 }
}
