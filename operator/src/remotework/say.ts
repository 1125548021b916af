import type { RemoteWork } from '../api/remote-work.ts'
import type { Seal } from '../federation/federation.ts'
import { giveUp, tombstoneExpires } from '../grant/requester.ts'
import { nextSequence } from '../grant/sequence.ts'
import type { Now } from '../grant/timing.ts'
import type { Live } from '../kube/resource.ts'
import type { Counterpart } from './counterpart.ts'
import { type Draft, post, sequenceOf } from './draft.ts'
import { type OwnMessage, ownMessage } from './own-message.ts'

/** How long a peer's link may take a request; what it has not taken by then is asked anew. */
export const requestSeconds = 21_600
/** The clocks of two owners may differ; nonces and sequences keep old messages out, not the time. */
const slackSeconds = 600

type Ready = Extract<Counterpart, { state: 'Ready' }>
type Deps = { seal: Seal }

function addressee({ peer, identityName }: Ready, seconds: number, signal: AbortSignal) {
  return { identityName, peer, seconds, signal }
}

/** Puts the signed request into the outbox. */
export async function request(
  work: Live<RemoteWork>,
  draft: Draft,
  to: Ready,
  { seal }: Deps,
  signal: AbortSignal,
): Promise<void> {
  const sequence = nextSequence(undefined, to.peer.status ?? {})
  const body = { requestId: work.metadata.uid, sequence, work: work.spec.work }
  post(draft, 'Request', sequence, await seal('Request', body, addressee(to, requestSeconds, signal)))
}

/** Puts a signed renewal into the outbox. */
export async function renew(
  work: Live<RemoteWork>,
  draft: Draft,
  renewal: { epoch: number; nonce: string; ttlSeconds: number },
  to: Ready,
  { seal }: Deps,
  signal: AbortSignal,
): Promise<void> {
  const { epoch, nonce, ttlSeconds } = renewal
  const sequence = nextSequence(sequenceOf(draft, 'Renewal'), to.peer.status ?? {})
  const body = { requestId: work.metadata.uid, sequence, epoch, nonce }
  post(draft, 'Renewal', sequence, await seal('Renewal', body, addressee(to, ttlSeconds + slackSeconds, signal)))
}

/** Gives the work up and says so: nothing else stays in the outbox. */
export async function cancel(
  work: Live<RemoteWork>,
  draft: Draft,
  reason: string,
  to: Ready,
  deps: Deps & { now: Now },
  signal: AbortSignal,
): Promise<void> {
  const asked = ownMessage(work, 'Request')
  const { sequence, envelope } = await signCancel(work, asked, reason, to, deps, signal)
  drop(draft, deps.now)
  draft.outbox = [{ kind: 'Cancel', sequence, envelope }]
}

/** From now on nothing of it is renewed or believed. */
export function drop(draft: Draft, now: Now): void {
  const { answer, lease } = giveUp(draft, now)
  if (answer !== undefined) draft.answer = answer
  draft.lease = lease
}

/** A signed cancellation, and when it is not needed any more because everything is over. */
export async function signCancel(
  work: Live<RemoteWork>,
  asked: OwnMessage<'Request'> | undefined,
  reason: string,
  to: Ready,
  { seal, now }: Deps & { now: Now },
  signal: AbortSignal,
): Promise<{ sequence: number; envelope: string; expires: string }> {
  const { spec, status } = work
  const expires = tombstoneExpires({
    work: spec.work,
    status: status ?? {},
    requestExpiresMs: asked === undefined ? now.wallMs : Date.parse(asked.message.expires),
    now,
  })
  const sequence = nextSequence(status?.outbox?.find(({ kind }) => kind === 'Cancel')?.sequence, to.peer.status ?? {})
  const seconds = Math.ceil((Date.parse(expires) - now.wallMs) / 1000) + slackSeconds
  const body = { requestId: work.metadata.uid, sequence, reason }
  return { sequence, expires, envelope: await seal('Cancel', body, addressee(to, seconds, signal)) }
}
