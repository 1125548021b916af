import { z } from 'zod'
import { guestLeaseSchema } from '../../guestlease/lease.ts'
import type { RoutedPeer } from './peer-endpoint.ts'

const endpointSchema = z.object({
  /** Pod IP. */
  address: z.ipv4().or(z.ipv6()),
  pod: z.string().max(253),
  revision: z.string().max(63),
  /** Share of the requests that its revision gets; at 0 mirrored ones only. */
  percent: z.number().min(0).max(100),
})

/** What a gateway keeps on disk of one InferenceService. */
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
  /** Whether the service may be asleep, so that requests wait for a worker. */
  mayWake: z.boolean().default(false),
  holdSeconds: z.number().min(0).default(0),
  /** Most requests that wait at once. */
  held: z.number().positive().default(500),
  /** Requests that may wait in one worker. */
  queueDepth: z.number().positive().default(100),
  /** Requests that one worker is meant to have at once. */
  targetInFlight: z.number().positive().default(8),
  /** Whether peers get only what own workers have no room for. */
  ownFirst: z.boolean().default(true),
  /** The revision that is being tried; users must not pay for its failures. */
  canary: z.string().max(63).optional(),
  /** Which share of the requests of other revisions a revision answers too, for comparison alone. */
  mirror: z
    .object({ revision: z.string().max(63), permille: z.number().min(0).max(1000), tolerance: z.number().min(0) })
    .optional(),
  /** Set for a service that was made for another owner: it is routed while its lease lasts. The uid tells one of the same name apart, `work` whose it is. */
  guest: z
    .object({ uid: z.string().max(64), lease: guestLeaseSchema.optional(), work: z.string().max(63).default('') })
    .optional(),
  endpoints: z.array(endpointSchema).max(1000),
})

/** As it is served: with workers at peers, which are never kept on disk. */
export type RouteSpec = SavedRoute & { peers?: readonly RoutedPeer[] }
export type SavedRoute = z.infer<typeof routeSpecSchema>
export type Endpoint = z.infer<typeof endpointSchema>

/** Key of a route in tables and metrics. */
export function routeKey(namespace: string, service: string): string {
  return `${namespace}/${service}`
}
