import { z } from 'zod'

const endpointSchema = z.object({
  /** Pod IP. */
  address: z.ipv4().or(z.ipv6()),
  pod: z.string().max(253),
  revision: z.string().max(63),
  /** Share of the requests that its revision gets. */
  percent: z.number().min(0).max(100),
})

/** What a gateway knows of one InferenceService; this is also what is kept on disk. */
export const routeSpecSchema = z.object({
  namespace: z.string().max(63),
  service: z.string().max(253),
  serviceAccounts: z.array(z.string().max(400)).max(64),
  oidc: z
    .array(
      z.object({
        issuerName: z.string().max(63),
        subjects: z.array(z.string().max(256)).max(64),
        groups: z.array(z.string().max(256)).max(64),
      }),
    )
    .max(16),
  requestSeconds: z.number().positive(),
  requestBytes: z.number().positive(),
  responseBytes: z.number().positive(),
  inFlight: z.number().positive(),
  suspended: z.boolean(),
  endpoints: z.array(endpointSchema).max(1000),
})

export type RouteSpec = z.infer<typeof routeSpecSchema>
export type Endpoint = z.infer<typeof endpointSchema>

/** Key of a route in tables and metrics. */
export function routeKey(namespace: string, service: string): string {
  return `${namespace}/${service}`
}
