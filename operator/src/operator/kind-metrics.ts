import { Gauge, type Registry } from 'prom-client'
import type { AccessKey } from '../api/access-key.ts'
import { accessKeyReasons } from '../api/access-key-reasons.ts'
import type { EgressPolicy } from '../api/egress-policy.ts'
import { egressPolicyReasons } from '../api/egress-policy-reasons.ts'
import type { GuestWork } from '../api/guest-work.ts'
import { guestWorkReasons } from '../api/guest-work-reasons.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import { identityReasons } from '../api/identity-reasons.ts'
import type { InferenceService } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import type { Model } from '../api/model.ts'
import { modelReasons } from '../api/model-reasons.ts'
import type { Peer } from '../api/peer.ts'
import { peerReasons } from '../api/peer-reasons.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { remoteWorkReasons } from '../api/remote-work-reasons.ts'
import type { Condition } from '../api/resource.ts'
import type { SharePolicy } from '../api/share-policy.ts'
import { sharePolicyReasons } from '../api/share-policy-reasons.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Store } from '../kube/store.ts'

type Conditioned = { status?: { conditions?: Condition[] | undefined } }

const serviceReasons = new Set<string>(
  Object.values(inferenceServiceReasons).flatMap((reasons) => Object.keys(reasons)),
)
const workReasons = new Set<string>(Object.values(remoteWorkReasons).flatMap((reasons) => Object.keys(reasons)))
const peerReasonNames = new Set<string>(Object.values(peerReasons).flatMap((reasons) => Object.keys(reasons)))
const guestReasons = new Set<string>(Object.values(guestWorkReasons).flatMap((reasons) => Object.keys(reasons)))
const statuses = new Set<string>(['True', 'False', 'Unknown'])

/**
 * Counts objects by the status and the reason of their main condition, for as long as the signal lasts: as many series as there
 * are reasons, however many objects there are. Objects that were not looked at yet count as `Unknown` and `New`.
 */
export function countKinds(
  registry: Registry,
  stores: {
    services: Pick<Store<InferenceService>, 'list'>
    models: Pick<Store<Model>, 'list'>
    keys: Pick<Store<AccessKey>, 'list'>
    identities: Pick<Store<OwnerIdentity>, 'list'>
    peers: Pick<Store<Peer>, 'list'>
    egressPolicies: Pick<Store<EgressPolicy>, 'list'>
    remoteWorks: Pick<Store<RemoteWork>, 'list'>
    sharePolicies: Pick<Store<SharePolicy>, 'list'>
    guestWorks: Pick<Store<GuestWork>, 'list'>
  },
  signal: AbortSignal,
): void {
  const names: string[] = []
  const gauge = (name: string, help: string, count: () => Map<string, number>) => {
    names.push(name)
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: ['status', 'reason'],
        registers: [],
        collect() {
          this.reset()
          for (const [key, value] of count()) {
            const [status = '', reason = ''] = key.split('/')
            this.set({ status, reason }, value)
          }
        },
      }),
    )
  }
  gauge('hansa_inferenceservices', 'InferenceServices by status and reason of the condition Ready.', () =>
    tally(stores.services.list(), 'Ready', serviceReasons),
  )
  gauge('hansa_models', 'Models by status and reason of the condition Verified.', () =>
    tally(stores.models.list(), 'Verified', new Set(modelReasons)),
  )
  gauge('hansa_accesskeys', 'AccessKeys by status and reason of the condition Ready.', () =>
    tally(stores.keys.list(), 'Ready', new Set(Object.keys(accessKeyReasons.Ready))),
  )
  gauge('hansa_egresspolicies', 'EgressPolicies by status and reason of the condition Ready.', () =>
    tally(stores.egressPolicies.list(), 'Ready', new Set(Object.keys(egressPolicyReasons.Ready))),
  )
  gauge('hansa_remoteworks', 'RemoteWorks by status and reason of the condition Ready; tombstones as Cancelled.', () =>
    tally(stores.remoteWorks.list().map(orTombstone), 'Ready', workReasons),
  )
  gauge('hansa_identities', 'Identities by status and reason of the condition Ready.', () =>
    tally(stores.identities.list(), 'Ready', new Set(Object.keys(identityReasons.Ready))),
  )
  gauge('hansa_peers', 'Peers by status and reason of the condition Ready.', () =>
    tally(stores.peers.list(), 'Ready', peerReasonNames),
  )
  gauge('hansa_sharepolicies', 'SharePolicies by status and reason of the condition Ready.', () =>
    tally(stores.sharePolicies.list(), 'Ready', new Set(Object.keys(sharePolicyReasons.Ready))),
  )
  gauge('hansa_guestworks', 'GuestWorks by status and reason of the condition Ready.', () =>
    tally(stores.guestWorks.list(), 'Ready', guestReasons),
  )
  // Only the leader knows; what it knew must not stay when it leads no more.
  const remove = () => {
    for (const name of names) registry.removeSingleMetric(name)
  }
  signal.addEventListener('abort', remove, { once: true })
}

const cancelled: Condition[] = [
  { type: 'Ready', status: 'False', reason: 'Cancelled', message: '', lastTransitionTime: '' },
]

function orTombstone(work: RemoteWork): Conditioned {
  return work.spec.cancelled === undefined ? work : { status: { conditions: cancelled } }
}

function tally(objects: readonly Conditioned[], type: string, reasons: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { status } of objects) {
    const condition = conditionOf(status?.conditions, type)
    const key = condition === undefined ? 'Unknown/New' : keyOf(condition, reasons)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

/** Who may write a status may write anything into it; labels hold only what the catalogue has. */
function keyOf({ status, reason }: Condition, reasons: ReadonlySet<string>): string {
  return `${statuses.has(status) ? status : 'Unknown'}/${reasons.has(reason) ? reason : 'Other'}`
}
