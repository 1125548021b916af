import { apiVersion } from '../api/resource.ts'
import { type GuestLease, leaseAnnotationName, leaseKey, leaseText } from '../guestlease/lease.ts'
import type { ConfigMap } from '../kube/builtin.ts'
import type { Applied } from '../kube/client-types.ts'
import type { Volume } from '../kube/pod-types.ts'
import { serviceLabels } from './names.ts'

/** Where guest workers find their lease. */
export const leaseDir = '/var/run/hansa/lease'

export const leaseConfigMapName = (service: string) => `${service}-lease`

/** Whose lease it is: the InferenceService that the operator made for a guest. */
export type LeasedService = GuestLease & {
  namespace: string
  service: string
  /** uid of the InferenceService, with which the ConfigMap shall go. */
  serviceUid?: string | undefined
}

/** The ConfigMap that guest workers mount; their pods do not start before it exists. */
export function leaseConfigMap({ namespace, service, serviceUid, ...lease }: LeasedService): Applied<ConfigMap> {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: leaseConfigMapName(service),
      namespace,
      labels: serviceLabels(service),
      ...(serviceUid !== undefined && {
        ownerReferences: [
          {
            apiVersion,
            kind: 'InferenceService',
            name: service,
            uid: serviceUid,
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      }),
    },
    data: { [leaseKey]: leaseText(lease) },
  }
}

/** The annotations of that InferenceService with the same lease, which gateways read; without them a guest has no route. */
export function leaseAnnotation(lease: GuestLease): Record<string, string> {
  return { [leaseAnnotationName]: leaseText(lease) }
}

/** The volume of a guest's pod. */
export function leaseVolume(service: string): Volume {
  return {
    name: 'lease',
    configMap: { name: leaseConfigMapName(service), items: [{ key: leaseKey, path: leaseKey }] },
  }
}
