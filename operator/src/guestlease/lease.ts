import { z } from 'zod'
import { sequence } from '../api/owner-scalars.ts'

/** Label by which the operator marks an InferenceService that it made for another owner. */
export const guestWorkLabel = 'hansa.dev/guest-work'

/** Annotation of such an InferenceService with its lease, for gateways, which watch these objects anyway. */
export const leaseAnnotationName = 'hansa.dev/lease'

/** Key of the lease in the ConfigMap that guest workers mount. */
export const leaseKey = 'lease.json'

/** Longer texts are refused unread. */
export const maxLeaseBytes = 4096

/** The lease of guest work, as its gateways and workers enforce it. */
export const guestLeaseSchema = z.object({
  /** Fencing number of the grant. */
  epoch: sequence,
  /** Renewals of this grant so far; each new one lets the work go on for `ttlSeconds`. */
  renewals: sequence,
  ttlSeconds: z.int().min(1).max(86_400),
  /** Wall clock of the operator at which it is over in any case, RFC 3339. */
  expires: z.iso.datetime({ offset: true }),
})

export type GuestLease = z.infer<typeof guestLeaseSchema>

/** Reads a lease; undefined for whatever is none. */
export function parseLease(text: string | undefined): GuestLease | undefined {
  if (text === undefined || text.length > maxLeaseBytes) return undefined
  try {
    return guestLeaseSchema.safeParse(JSON.parse(text)).data
  } catch {
    // Not JSON is no lease, as is a file that is being written.
    return undefined
  }
}

/** The text of a lease: the same words for ConfigMap and annotation. */
export function leaseText({ epoch, renewals, ttlSeconds, expires }: GuestLease): string {
  return JSON.stringify({ epoch, renewals, ttlSeconds, expires })
}
