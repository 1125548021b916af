import { createHash } from 'node:crypto'
import type { ToRequester } from '@hansa/operator/api/remote-work.ts'
import { readEnvelope } from '@hansa/operator/federation/dsse.ts'
import type { Seal } from '@hansa/operator/federation/federation.ts'
import type { MessageOf } from '@hansa/operator/federation/messages.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import type { Clock } from '@hansa/operator/kube/clock.ts'
import { type KnownOwner, peerOf, type TestOwner } from './federation.ts'

/** A message for the inbox of a RemoteWork, as the link would put it there. */
export type Delivery = { kind: ToRequester; sequence: number; envelope: string }

type Header = 'version' | 'issuer' | 'audience' | 'issued' | 'expires' | 'sequence' | 'requestId'
type Free<K extends ToRequester> = Partial<Omit<MessageOf<K>, Header>>

/** An executor that says what a test has it say, with keys of its own. */
export type ScriptedPeer = {
  /** Answers the request in this envelope. */
  answer(request: string, answer: Free<'Answer'>): Promise<Delivery>
  grant(request: string, lease?: { epoch?: number; ttlSeconds?: number; attempt?: number }): Promise<Delivery>
  refuse(request: string, ...reasons: string[]): Promise<Delivery>
  askRenewal(requestId: string, epoch: number, ttlSeconds?: number): Promise<Delivery>
  report(requestId: string, epoch: number, report: Free<'Report'>): Promise<Delivery>
}

/** What an envelope of the requester says. */
export function contentOf(envelope: string): { requestId: string; [member: string]: unknown } {
  return JSON.parse(Buffer.from(readEnvelope(envelope)?.payload ?? []).toString('utf8'))
}

export function sealOf(owner: TestOwner, clock: Pick<Clock, 'now'>): Seal {
  return createSeal({ sealingOf: async () => ({ bundle: owner.bundle, signerOf: owner.signerOf }), clock })
}

/** Speaks as `executor` to `requester`. */
export function scriptedPeer(executor: TestOwner, requester: KnownOwner, clock: Pick<Clock, 'now'>): ScriptedPeer {
  const seal = sealOf(executor, clock)
  const { signal } = new AbortController()
  let sequence = 0
  async function say<K extends ToRequester>(kind: K, body: Free<K> & { requestId: string }): Promise<Delivery> {
    const options = { identityName: 'main', peer: peerOf(requester), seconds: 3600, signal }
    sequence++
    // What a test leaves out is missing in the message; `createSeal` checks the form.
    const envelope = await seal(kind, { ...body, sequence } as never, options)
    return { kind, sequence, envelope }
  }
  const peer: ScriptedPeer = {
    answer: (request, answer) =>
      say('Answer', {
        requestId: contentOf(request).requestId,
        requestSha256: createHash('sha256')
          .update(readEnvelope(request)?.payload ?? '')
          .digest('hex'),
        decision: 'Pending',
        refusals: [],
        ...answer,
      }),
    grant: (request, { epoch = 1, ttlSeconds = 60, attempt = 1 } = {}) =>
      peer.answer(request, { decision: 'Granted', lease: { epoch, attempt, ttlSeconds, incarnation: 0 } }),
    refuse: (request, ...reasons) =>
      peer.answer(request, {
        decision: 'Refused',
        refusals: reasons.map((reason) => ({ reason, message: `${reason} is why` })),
      }),
    askRenewal: (requestId, epoch, ttlSeconds = 60) =>
      say('RenewalAsk', { requestId, epoch, ttlSeconds, nonce: `${sequence}`.padStart(43, 'n') }),
    report: (requestId, epoch, report) =>
      say('Report', {
        requestId,
        epoch,
        replicas: 0,
        readyReplicas: 0,
        gpuSeconds: 0,
        reason: '',
        message: '',
        ...report,
      }),
  }
  return peer
}
