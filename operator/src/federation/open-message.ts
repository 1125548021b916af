import { createHash } from 'node:crypto'
import { conditionOf } from '../kube/conditions.ts'
import { parseCanonicalJson } from './canonical-json.ts'
import { clockSkewMilliseconds, parseDateTime } from './date-time.ts'
import { type Envelope, isEnvelopeBy, readEnvelope } from './dsse.ts'
import type { MessageProblem, OpenMessage } from './federation.ts'
import { type Bundle, type MessageKind, type MessageOf, messageKinds, type Role } from './messages.ts'
import { bundleOfPeer } from './peer-bundle.ts'

type Refusal = { ok: false; problem: MessageProblem }

/** Opens messages of peers; see the type. */
export const openMessage: OpenMessage = (kind, envelope, options) => {
  const { peer, ownBundle, now, ignoreExpiry = false } = options
  const { payloadType, signedBy } = messageKinds[kind]
  const read = readEnvelope(envelope)
  if (read === undefined) return refuse('Malformed', 'it is not a DSSE envelope with one signature')
  if (read.payloadType !== payloadType) return refuse('Malformed', `its payload is not of type ${payloadType}`)
  if (signedBy === 'Root') return refuse('Malformed', `a ${kind} is not a message to one audience`)
  if (conditionOf(peer.status?.conditions, 'Verified')?.status !== 'True') {
    return refuse('PeerNotReady', 'the Peer is not Verified')
  }
  const verdict = bundleOfPeer(peer, { now, ignoreExpiry })
  if (!verdict.ok) return refuse('PeerNotReady', `the bundle of the peer cannot be used: ${verdict.problem.message}`)
  const { bundle } = verdict
  const key = signingKey(bundle, signedBy, read)
  if (!key.ok) return key
  const message = parsed(kind, read)
  if (message === undefined || !('issuer' in message)) {
    return refuse('Malformed', `its payload has not the form of a message of kind ${kind}`)
  }
  if (!sameCluster(message.issuer, bundle)) return refuse('WrongIssuer', 'it is in the name of another cluster')
  if (!sameCluster(message.audience, ownBundle)) return refuse('WrongAudience', 'it is for another cluster')
  const late = problemOfTime({ ...message, keyEnds: key.notAfter }, { now, ignoreExpiry })
  if (late !== undefined) return late
  return { ok: true, message, payloadSha256: createHash('sha256').update(read.payload).digest('hex') }
}

function refuse(reason: MessageProblem['reason'], message: string): Refusal {
  return { ok: false, problem: { reason, message } }
}

/** The one key of that role whose id the envelope names, once its signature was found right. */
function signingKey(bundle: Bundle, role: Role, envelope: Envelope): { ok: true; notAfter: string } | Refusal {
  if (bundle.revokedAll) return refuse('KeyRevoked', 'its issuer gave its identity up')
  if (bundle.revoked.includes(envelope.keyId)) return refuse('KeyRevoked', 'its issuer revoked the key')
  const key = bundle.roleKeys.find((each) => each.keyId === envelope.keyId && each.role === role)
  if (key === undefined) return refuse('SignatureInvalid', `the bundle of the peer has no key ${role} of that id`)
  if (!isEnvelopeBy(key.publicKey, envelope)) return refuse('SignatureInvalid', 'its signature is not by its key')
  return { ok: true, notAfter: key.notAfter }
}

function parsed<K extends MessageKind>(kind: K, { payload }: Envelope): MessageOf<K> | undefined {
  const { data } = messageKinds[kind].schema.safeParse(parseCanonicalJson(payload)?.value)
  // The schema is that of the kind; the compiler does not tie the two for a generic kind.
  return data as MessageOf<K> | undefined
}

type Cluster = { trustDomain: string; clusterName: string }

function sameCluster(a: Cluster, b: Cluster): boolean {
  return a.trustDomain === b.trustDomain && a.clusterName === b.clusterName
}

function problemOfTime(
  times: { issued: string; expires: string; keyEnds: string },
  { now, ignoreExpiry }: { now: number; ignoreExpiry: boolean },
): Refusal | undefined {
  const issued = parseDateTime(times.issued)
  const expires = parseDateTime(times.expires)
  const keyEnds = parseDateTime(times.keyEnds)
  if (issued === undefined || expires === undefined || keyEnds === undefined || expires <= issued) {
    return refuse('Malformed', 'its times are no times, or end before they begin')
  }
  if (issued > keyEnds) return refuse('Expired', `it was signed after the end of its key at ${times.keyEnds}`)
  if (ignoreExpiry) return undefined
  if (issued > now + clockSkewMilliseconds) return refuse('NotYetValid', `it was issued at ${times.issued}`)
  if (expires <= now) return refuse('Expired', `it expired at ${times.expires}`)
  return keyEnds <= now ? refuse('Expired', `its key ended at ${times.keyEnds}`) : undefined
}
