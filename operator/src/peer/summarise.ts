import type { Peer } from '../api/peer.ts'
import { type PeerConditionType, peerReasons } from '../api/peer-reasons.ts'
import type { ReasonCatalogue } from '../api/reason.ts'
import type { NewCondition } from '../kube/conditions.ts'

type Judged = Exclude<PeerConditionType, 'Ready'>
export type Verdicts = { [T in Judged]: { reason: keyof (typeof peerReasons)[T]; message: string } }

const order = ['Verified', 'Connected', 'Compatible', 'Recovered'] as const satisfies readonly Judged[]

/** The conditions of a Peer; Ready repeats the first that is not True. */
export function summarise({ metadata }: Peer, verdicts: Verdicts): NewCondition[] {
  const observedGeneration = metadata.generation ?? 0
  const conditions = order.map((type): NewCondition => {
    const { reason, message } = verdicts[type]
    const catalogue: ReasonCatalogue = peerReasons[type]
    return { type, status: catalogue[reason]?.status ?? 'Unknown', reason, message, observedGeneration }
  })
  const worst = conditions.find(({ status }) => status !== 'True')
  const ready =
    worst === undefined
      ? { status: peerReasons.Ready.Ready.status, reason: 'Ready', message: '' }
      : { status: worst.status, reason: worst.reason, message: worst.message }
  return [...conditions, { type: 'Ready', ...ready, observedGeneration }]
}
