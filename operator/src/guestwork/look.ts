import type { GuestWork } from '../api/guest-work.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { Peer } from '../api/peer.ts'
import type { ToExecutor } from '../api/remote-work.ts'
import type { MessageProblem } from '../federation/federation.ts'
import type { Bundle, MessageOf } from '../federation/messages.ts'
import { bundleOfIdentity } from '../federation/peer-bundle.ts'
import { isTrue } from '../kube/conditions.ts'
import type { Live } from '../kube/resource.ts'
import { decide, type PolicyView, type Question, reasonsOf } from './decide.ts'
import type { GuestWorkDeps } from './deps.ts'
import { type OpenedRequest, openRequest } from './open-request.ts'
import type { Facts } from './plan.ts'
import { policyViews } from './policy-views.ts'
import { workerAmounts } from './resources.ts'
import { isOlder, usageOf } from './usage.ts'
import { vetoOf } from './veto.ts'

/** Everything that is known of guest work at one moment. */
export type Seen = {
  readonly peer: Live<Peer> | undefined
  readonly identity: OwnerIdentity | undefined
  readonly request: OpenedRequest | undefined
  readonly problem: MessageProblem | undefined
  readonly views: readonly PolicyView[]
  readonly policy: PolicyView | undefined
  readonly renewal: MessageOf<'Renewal'> | undefined
  readonly facts: Omit<Facts, 'leaseOver'>
}

/** Looks at everything that guest work is decided by; writes nothing. */
export function look(guest: Live<GuestWork>, deps: GuestWorkDeps): Seen {
  const now = deps.clock.now()
  const peer = deps.peers.get({ name: guest.spec.peerRef.name })
  const identity = peer === undefined ? undefined : deps.identities.get({ name: peer.spec.identityRef.name })
  const ownBundle = ownBundleOf(identity, now)
  const { request, problem } = requestOf(guest, peer, ownBundle, deps)
  const views = policyViews(deps, deps.systemNamespace)
  const policy = views.find(({ name }) => name === guest.status?.policyName)
  const read = reader(guest, peer, ownBundle, deps)
  const key = `${guest.metadata.namespace}/${guest.metadata.name}`
  const question = (work: Question['work']): Omit<Question, 'usage'> => ({
    work,
    peerName: guest.spec.peerRef.name,
    policies: views,
    waitingPod: () => deps.idle.waitingFor(workerAmounts(work), work.replicas),
    now,
  })
  return {
    peer,
    identity,
    request,
    problem,
    views,
    policy,
    renewal: read('Renewal'),
    facts: {
      guest,
      peerGone: peer === undefined || peer.metadata.deletionTimestamp !== undefined,
      authentic:
        request !== undefined ? true : problem === undefined ? undefined : isUnknown(problem) ? undefined : false,
      recovered: isTrue(peer?.status?.conditions, 'Recovered'),
      cancelled: read('Cancel') !== undefined,
      veto: vetoOf(guest),
      frozen: frozenBy(peer, identity),
      decide: () => {
        if (request === undefined) return { decision: 'Pending' }
        const others = deps.guestWorks.list().filter(({ metadata }) => metadata.uid !== guest.metadata.uid)
        return decide({ ...question(request.work), usage: (name) => usageOf(name, others) })
      },
      stillAllowed: () => {
        const name = guest.status?.policyName ?? ''
        if (policy === undefined) return [{ reason: 'PolicyChanged', message: `SharePolicy ${name} was deleted` }]
        if (!policy.spec.peers.some((each) => each.name === guest.spec.peerRef.name)) {
          return [{ reason: 'NoSharePolicy', message: `SharePolicy ${name}, spec.peers: names this peer no more` }]
        }
        if (request === undefined) return []
        const older = deps.guestWorks
          .list()
          .filter((each) => each.metadata.uid !== guest.metadata.uid && isOlder(each, guest))
        // Whose lease must end for our own pods is said by `mustEnd`.
        const idle = { waitingPod: () => undefined, usage: () => usageOf(name, older) }
        return reasonsOf(policy, { ...question(request.work), ...idle })
      },
      preempted: policy?.spec.availability === 'IdleOnly' && deps.idle.mustEnd(key) !== undefined,
    },
  }
}

function requestOf(
  guest: Live<GuestWork>,
  peer: Peer | undefined,
  ownBundle: Bundle | undefined,
  { memory, openMessage, clock }: GuestWorkDeps,
): { request: OpenedRequest | undefined; problem: MessageProblem | undefined } {
  const known = memory.requests.get(guest.metadata.uid)
  if (known !== undefined) return { request: known, problem: undefined }
  if (peer === undefined || ownBundle === undefined) return { request: undefined, problem: undefined }
  const verdict = openRequest(guest, openMessage, { peer, ownBundle, now: clock.now() })
  if (!verdict.ok) return { request: undefined, problem: verdict.problem }
  const { work, sha256, expires } = verdict
  const request = { work, sha256, expires }
  memory.requests.set(guest.metadata.uid, request)
  return { request, problem: undefined }
}

/** Reads the newest message of a kind in the inbox, if it is authentic and about this request. What came in time stays valid. */
function reader(guest: GuestWork, peer: Peer | undefined, ownBundle: Bundle | undefined, deps: GuestWorkDeps) {
  return <K extends Exclude<ToExecutor, 'Request'>>(kind: K): MessageOf<K> | undefined => {
    const letter = guest.status?.inbox?.find((each) => each.kind === kind)
    if (letter === undefined || peer === undefined || ownBundle === undefined) return undefined
    const options = { peer, ownBundle, now: deps.clock.now(), ignoreExpiry: true }
    const opened = deps.openMessage(kind, letter.envelope, options)
    if (!opened.ok) return undefined
    const { message } = opened
    return 'requestId' in message && message.requestId === guest.spec.requestId ? message : undefined
  }
}

function ownBundleOf(identity: OwnerIdentity | undefined, now: number): Bundle | undefined {
  if (identity === undefined) return undefined
  const verdict = bundleOfIdentity(identity, { now })
  return verdict.ok ? verdict.bundle : undefined
}

function frozenBy(peer: Peer | undefined, identity: OwnerIdentity | undefined): string | undefined {
  if (peer?.spec.suspend === true) return 'the executor has frozen all work of this peer'
  return identity?.spec.suspend === true ? 'the executor has frozen all foreign work' : undefined
}

/** It may be authentic, once the peer is. */
function isUnknown({ reason }: MessageProblem): boolean {
  return reason === 'PeerNotReady' || reason === 'NotYetValid'
}
