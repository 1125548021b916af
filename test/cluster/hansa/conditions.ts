import { z } from 'zod'
import type { Cluster } from '../cluster.ts'

const objectSchema = z.object({
  metadata: z.object({ name: z.string(), generation: z.number() }),
  status: z
    .object({
      observedGeneration: z.number().optional(),
      url: z.string().optional(),
      revision: z.string().optional(),
      latestRevision: z.string().optional(),
      desiredReplicas: z.number().optional(),
      replicas: z.number().optional(),
      readyReplicas: z.number().optional(),
      traffic: z.array(z.object({ revision: z.string(), percent: z.number() })).optional(),
      conditions: z
        .array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() }))
        .optional(),
    })
    .default({}),
})
export type Seen = z.infer<typeof objectSchema>

/** Reads a Model, an InferenceService or an AccessKey as administrator; undefined when there is none. */
export async function read(
  cluster: Cluster,
  kind: 'model' | 'inferenceservice' | 'accesskey',
  name: string,
  namespace: string,
): Promise<Seen | undefined> {
  const path = `/apis/hansa.dev/v1alpha1/namespaces/${namespace}/${kind}s/${name}`
  const { status, body } = await cluster.request({ path })
  return status === 200 ? objectSchema.parse(body) : undefined
}

/** One condition of the current generation; undefined while the controller has not seen that generation. */
export function condition(seen: Seen | undefined, type: string) {
  if (seen === undefined || seen.status.observedGeneration !== seen.metadata.generation) return undefined
  return seen.status.conditions?.find((each) => each.type === type)
}
