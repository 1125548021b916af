import type { EgressPolicy } from '../api/egress-policy.ts'
import type { RemoteWork, RemoteWorkStatus } from '../api/remote-work.ts'
import { allow, type Egress } from '../egresspolicy/allow.ts'
import type { Spending } from '../egresspolicy/spending.ts'
import type { Seal } from '../federation/federation.ts'
import { observe } from '../grant/requester.ts'
import type { Namespace } from '../kube/builtin.ts'
import type { Live } from '../kube/resource.ts'
import { type Counterpart, type Counterparts, counterpartOf } from './counterpart.ts'
import { type Draft, draftOf, type Memory } from './draft.ts'
import { type HearDeps, hear, passTime } from './hear.ts'
import { ownMessage } from './own-message.ts'
import { cancel, drop, renew, request } from './say.ts'
import { summarise } from './summarise.ts'

export type ExchangeDeps = HearDeps &
  Counterparts & {
    seal: Seal
    policies: readonly EgressPolicy[]
    namespace: Namespace | undefined
    spending: Spending
  }

export type Exchanged = { status: RemoteWorkStatus; memory: Memory; afterMs: number }

/**
 * One look at a RemoteWork: may it still be asked for, what did the peer say, what is to be said. Pure but for signing: the result
 * is written with the resourceVersion that was read, or not at all.
 */
export async function exchange(
  work: Live<RemoteWork>,
  memory: Memory | undefined,
  deps: ExchangeDeps,
  signal: AbortSignal,
): Promise<Exchanged> {
  const { now } = deps
  const asked = ownMessage(work, 'Request')
  const cancelled = ownMessage(work, 'Cancel')
  const askedDomain = (asked ?? cancelled)?.message.audience.trustDomain
  const to = counterpartOf(work, askedDomain, deps, now.wallMs)
  const egress = mayLeave(work, deps)
  const requester = observe(work.status ?? {}, memory?.requester, now)
  const draft = draftOf(work, { requester, reportSequence: memory?.reportSequence ?? 0 })
  if (egress.allowed) draft.egressPolicyName = egress.policy

  if (to.state === 'Gone') {
    if (asked !== undefined) drop(draft, now)
  } else if (!egress.allowed) {
    await withdraw(work, draft, asked !== undefined, egress, to, deps, signal)
  } else if (to.state === 'Ready') {
    if (asked === undefined && cancelled === undefined) {
      // Counted before anything is signed: two requests at once must not spend the same money.
      deps.spending.reserve(work.metadata.uid, egress.policy, work.spec.work)
      if (draft.lease === undefined) await request(work, draft, to, deps, signal)
    } else if (asked !== undefined) {
      await converse(work, draft, asked.payloadSha256, to, deps, signal)
      if (isUntaken(work, draft) && Date.parse(asked.message.expires) <= now.wallMs) drop(draft, now)
    }
  }
  passTime(draft, now)
  return { status: statusOf(work, draft, egress, to, deps), memory: draft.memory, afterMs: draft.afterMs }
}

function mayLeave(work: Live<RemoteWork>, { policies, namespace, spending }: ExchangeDeps): Egress {
  const { metadata, spec, status } = work
  const labels = namespace?.metadata.labels
  const egress = allow(
    {
      namespace: { name: metadata.namespace ?? '', ...(labels !== undefined && { labels }) },
      peer: spec.peerRef.name,
      work: spec.work,
    },
    policies,
    spending.others(metadata.uid),
    status?.egressPolicyName,
  )
  if (!egress.allowed) spending.release(metadata.uid)
  return egress
}

/** Takes back what was asked for: the permission is gone. */
async function withdraw(
  work: Live<RemoteWork>,
  draft: Draft,
  wasAsked: boolean,
  egress: Extract<Egress, { allowed: false }>,
  to: Exclude<Counterpart, { state: 'Gone' }>,
  deps: ExchangeDeps,
  signal: AbortSignal,
): Promise<void> {
  if (!wasAsked) return
  // The peer need not learn our policies.
  if (to.state === 'Ready') await cancel(work, draft, egress.reason, to, deps, signal)
  else drop(draft, deps.now)
}

async function converse(
  work: Live<RemoteWork>,
  draft: Draft,
  requestSha256: string,
  to: Extract<Counterpart, { state: 'Ready' }>,
  deps: ExchangeDeps,
  signal: AbortSignal,
): Promise<void> {
  // Time first: what comes after the end of a lease does not bring it back.
  passTime(draft, deps.now)
  const reply = hear(work, draft, requestSha256, to, deps)
  if (reply.cancel !== undefined) await cancel(work, draft, reply.cancel, to, deps, signal)
  else if (reply.renewal !== undefined) await renew(work, draft, reply.renewal, to, deps, signal)
}

function isUntaken({ status }: RemoteWork, { outbox, answer }: Draft): boolean {
  const sent = outbox?.find(({ kind }) => kind === 'Request')
  const taken = status?.delivered?.find(({ kind }) => kind === 'Request')?.sequence ?? -1
  return sent !== undefined && answer === undefined && taken < sent.sequence
}

function statusOf(
  work: Live<RemoteWork>,
  draft: Draft,
  egress: Egress,
  to: Counterpart,
  { now }: ExchangeDeps,
): RemoteWorkStatus {
  const { memory: _memory, reported: _reported, afterMs: _afterMs, ...rest } = draft
  const { generation = 0 } = work.metadata
  return {
    observedGeneration: generation,
    ...rest,
    // Nothing runs without a lease; while it is uncertain the last word stands.
    ...(draft.lease?.state === 'Ended' && { replicas: 0, readyReplicas: 0 }),
    conditions: summarise({ work, draft, egress, to }, new Date(now.wallMs)),
  }
}
