import type { Case, Later } from './case.ts'
import type { GuestWorkDeps } from './deps.ts'
import { answer } from './letters.ts'
import { isDelivered, type Letter } from './outbox.ts'
import { ownStatus } from './own-status.ts'
import type { Plan } from './plan.ts'
import { authenticFinding, conditionsOf, type Finding } from './summarise.ts'
import { type OwnStatus, writeStatus } from './write.ts'

type Undecided = Extract<Plan, { do: 'Wait' | 'Hold' | 'Refuse' }>

/** Says what is known of work that has no lease: refused with all reasons, or not decided yet. */
export async function say(each: Case, next: Undecided, deps: GuestWorkDeps): Promise<Later> {
  const { guest, seen, now, signal } = each
  const { request, problem, peer } = seen
  const status: OwnStatus = { ...ownStatus(guest), ...(request !== undefined && { requestSha256: request.sha256 }) }
  if (next.do === 'Refuse') {
    status.decision = 'Refused'
    status.refusals = next.refusals
  } else if (next.do === 'Hold') {
    status.decision = 'Pending'
    delete status.refusals
  }
  status.conditions = conditionsOf(
    guest,
    {
      authentic: authenticFinding(problem, request !== undefined),
      granted: grantedFinding(next, guest.status?.conditions),
    },
    new Date(now.wallMs),
  )
  const letters: Letter[] = []
  if (request !== undefined && next.do === 'Refuse' && isAnswerDue(each, status, deps)) {
    letters.push(answer(guest, status, { ...request, incarnation: peer?.status?.incarnation ?? 0 }))
  }
  await writeStatus(guest, peer, status, letters, deps, signal)
  return {}
}

function grantedFinding(next: Undecided, before: OwnStatus['conditions']): Finding | undefined {
  switch (next.do) {
    case 'Refuse': {
      const reasons = [...new Set(next.refusals.map(({ reason }) => reason))]
      return { reason: 'Refused', message: `not allowed: ${reasons.join(', ')}` }
    }
    case 'Hold':
      return {
        reason: 'AwaitingConfirmation',
        message:
          next.for === 'Confirmation'
            ? 'it would be granted; the peer must first confirm the epochs that it saw'
            : 'a SharePolicy that would grant it is being looked at',
      }
    case 'Wait': {
      const said = before?.find(({ type }) => type === 'Granted')
      // Nothing new is known; what was said stays.
      return said?.reason === 'Refused' ? { reason: said.reason, message: said.message } : undefined
    }
    default:
      return next satisfies never
  }
}

// Half of an answer's life.
const resealMilliseconds = 12 * 3_600_000

/** Whether the answer says something new, or must be signed anew since nobody has fetched it for long. */
export function isAnswerDue({ guest, now }: Case, status: OwnStatus, { memory }: GuestWorkDeps): boolean {
  const before = guest.status ?? {}
  const said = ({ decision, refusals, lease }: OwnStatus) => JSON.stringify([decision, refusals, lease?.epoch])
  if (said(before) !== said(status) || before.outbox?.some(({ kind }) => kind === 'Answer') !== true) return true
  if (isDelivered(before, 'Answer')) {
    memory.answered.delete(guest.metadata.uid)
    return false
  }
  const answered = memory.answered.get(guest.metadata.uid)
  if (answered === undefined) memory.answered.set(guest.metadata.uid, now.monotonicMs)
  return answered !== undefined && now.monotonicMs - answered >= resealMilliseconds
}
