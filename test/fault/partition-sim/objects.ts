import type { Body } from '@hansa/operator/grant/body.ts'
import type { EpochFence } from '@hansa/operator/grant/epoch-fence.ts'
import type { ExecutorLease } from '@hansa/operator/grant/executor.ts'
import type { LeaseFile } from '@hansa/operator/grant/lease-json.ts'
import type { RequestedWork, RequesterStatus } from '@hansa/operator/grant/requester.ts'
import type { Told } from '@hansa/operator/grant/restore.ts'

/** A message in a mailbox. */
export type Mail<B> = { readonly sequence: number; readonly body: B }

export type AnswerBody = Pick<
  Body<'Answer'>,
  'requestId' | 'sequence' | 'requestSha256' | 'decision' | 'refusals' | 'lease'
>
export type AskBody = Body<'RenewalAsk'>
export type RenewalBody = Body<'Renewal'>
export type RequestBody = {
  readonly requestId: string
  readonly sequence: number
  readonly work: RequestedWork
  readonly sha256: string
  readonly expiresMs: number
}
export type CancelBody = Pick<Body<'Cancel'>, 'requestId' | 'sequence'>

/** What the requester wants to have done: stands for an InferenceService or a FederatedRound, with the sink of its results. */
export type WorkObject = {
  readonly current: string | undefined
  readonly attempt: number
  readonly fence: EpochFence | undefined
  readonly counted: readonly number[]
  readonly deleted: boolean
}

/** RemoteWork. */
export type RemoteObject = {
  readonly peer: string
  readonly work: RequestedWork
  readonly status: RequesterStatus
  readonly outbox: {
    readonly Request?: Mail<RequestBody>
    readonly Renewal?: Mail<RenewalBody>
    readonly Cancel?: Mail<CancelBody>
  }
  readonly inbox: { readonly Answer?: Mail<AnswerBody>; readonly RenewalAsk?: Mail<AskBody> }
  readonly delivered: Readonly<Record<string, number>>
}

/** What is left of a deleted RemoteWork. */
export type TombObject = {
  readonly peer: string
  readonly cancel: Mail<CancelBody>
  readonly delivered: boolean
  readonly expires: string
}

/** GuestWork. */
export type GuestObject = {
  readonly request: RequestBody
  readonly inbox: { readonly Renewal?: Mail<RenewalBody>; readonly Cancel?: Mail<CancelBody> }
  readonly outbox: { readonly Answer?: Mail<AnswerBody>; readonly RenewalAsk?: Mail<AskBody> }
  readonly delivered: Readonly<Record<string, number>>
  readonly decision: 'Pending' | 'Granted' | 'Refused' | 'Ended'
  readonly reason?: string
  readonly lease?: ExecutorLease
}

/** The Deployment and the lease's ConfigMap. */
export type PodsObject = { readonly work: RequestedWork; readonly file: LeaseFile }

/** Peer. */
export type PeerObject = {
  readonly incarnation?: number
  readonly epoch?: number
  readonly confirmedNonce?: string
  readonly told?: Told
  readonly statement?: Body<'Confirmation'>
  readonly heard?: Body<'Confirmation'>
}

export type Kinds = {
  work: WorkObject
  remote: RemoteObject
  tomb: TombObject
  guest: GuestObject
  pods: PodsObject
  peer: PeerObject
}
