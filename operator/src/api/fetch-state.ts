import { z } from 'zod'

/** Header by which a cache, or the gateway, tells the fetch worker in the name of which namespace it asks. */
export const namespaceHeader = 'x-hansa-namespace'

/** How far the fetch worker is with one Model, as `/v1/models` says it (docs/architecture.md, "Models"). */
export const fetchStateSchema = z.object({
  uid: z.string(),
  namespace: z.string(),
  name: z.string(),
  generation: z.number(),
  phase: z.enum(['Pending', 'Fetching', 'Verified', 'Failed']),
  /** A reason of the Model's condition `Verified`; a newer fetch worker may know more of them. */
  reason: z.string(),
  message: z.string(),
  file: z.string().optional(),
  fetchedBytes: z.number(),
  totalBytes: z.number(),
  /** RFC 3339; when a failed model is tried again. Absent: never, until a new generation. */
  retryAt: z.string().optional(),
})

/** Answer of `GET /v1/models`. */
export const fetchStatesSchema = z.object({ items: z.array(fetchStateSchema) })

export type FetchStateAnswer = z.infer<typeof fetchStateSchema>
