import { createHash } from 'node:crypto'
import type { GuestWork } from '../api/guest-work.ts'
import type { Peer } from '../api/peer.ts'
import type { Work } from '../api/remote-work.ts'
import { parseCanonicalJson } from '../federation/canonical-json.ts'
import { readEnvelope } from '../federation/dsse.ts'
import type { MessageProblem, OpenMessage } from '../federation/federation.ts'
import { type Bundle, messageKinds, requestSchema } from '../federation/messages.ts'

export type OpenedRequest = {
  readonly work: Work
  readonly sha256: string
  /** Milliseconds since 1970 after which links take it no more. */
  readonly expires: number
}

export type RequestVerdict = ({ ok: true } & OpenedRequest) | { ok: false; problem: MessageProblem }

/**
 * Opens the request of a GuestWork. One that was decided before, by its recorded hash, stays what it was, although the key that signed
 * it may have been replaced since.
 */
export function openRequest(
  guest: GuestWork,
  openMessage: OpenMessage,
  context: { peer: Peer; ownBundle: Bundle; now: number },
): RequestVerdict {
  const decided = guest.status?.requestSha256
  if (decided !== undefined) {
    const known = readRequest(guest.spec.request)
    if (known?.sha256 === decided) return known
  }
  const opened = openMessage('Request', guest.spec.request, context)
  if (!opened.ok) return opened
  const { requestId, work, expires } = opened.message
  if (requestId !== guest.spec.requestId) {
    return { ok: false, problem: { reason: 'Malformed', message: 'the request has another id than the GuestWork' } }
  }
  return { ok: true, work, sha256: opened.payloadSha256, expires: Date.parse(expires) }
}

/** Reads a request without checking who signed it. */
export function readRequest(envelope: string): ({ ok: true } & OpenedRequest) | undefined {
  const read = readEnvelope(envelope)
  if (read === undefined || read.payloadType !== messageKinds.Request.payloadType) return undefined
  const { data } = requestSchema.safeParse(parseCanonicalJson(read.payload)?.value)
  if (data === undefined) return undefined
  const sha256 = createHash('sha256').update(read.payload).digest('hex')
  return { ok: true, work: data.work, sha256, expires: Date.parse(data.expires) }
}
