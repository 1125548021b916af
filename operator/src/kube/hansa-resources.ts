import type { AccessKey } from '../api/access-key.ts'
import type { EgressPolicy } from '../api/egress-policy.ts'
import type { GuestWork } from '../api/guest-work.ts'
import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Model } from '../api/model.ts'
import type { Peer } from '../api/peer.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { group, version } from '../api/resource.ts'
import type { SharePolicy } from '../api/share-policy.ts'
import { defineResource } from './resource.ts'

const hansa = { group, version, namespaced: true }
const clusterWide = { group, version, namespaced: false }

export const models = defineResource<Model>({ ...hansa, plural: 'models', kind: 'Model' })
export const inferenceServices = defineResource<InferenceService>({
  ...hansa,
  plural: 'inferenceservices',
  kind: 'InferenceService',
})
export const accessKeys = defineResource<AccessKey>({ ...hansa, plural: 'accesskeys', kind: 'AccessKey' })
export const identities = defineResource<OwnerIdentity>({ ...clusterWide, plural: 'identities', kind: 'Identity' })
export const peers = defineResource<Peer>({ ...clusterWide, plural: 'peers', kind: 'Peer' })
export const sharePolicies = defineResource<SharePolicy>({
  ...clusterWide,
  plural: 'sharepolicies',
  kind: 'SharePolicy',
})
export const egressPolicies = defineResource<EgressPolicy>({
  ...clusterWide,
  plural: 'egresspolicies',
  kind: 'EgressPolicy',
})
export const remoteWorks = defineResource<RemoteWork>({ ...hansa, plural: 'remoteworks', kind: 'RemoteWork' })
export const guestWorks = defineResource<GuestWork>({ ...hansa, plural: 'guestworks', kind: 'GuestWork' })
