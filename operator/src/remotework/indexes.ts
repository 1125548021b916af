import type { RemoteWork } from '../api/remote-work.ts'
import { serviceLabel } from '../inferenceservice/names.ts'
import { conditionOf } from '../kube/conditions.ts'
import { keyOf } from '../kube/resource.ts'

/** By which RemoteWorks are found: service (`namespace/name`), peer, and `money`, for those that wait for it. */
export const remoteWorkIndexes = {
  service: ({ metadata }: RemoteWork): readonly string[] => {
    const name = metadata.labels?.[serviceLabel]
    return name === undefined ? [] : [keyOf({ namespace: metadata.namespace ?? '', name })]
  },
  peer: ({ spec }: RemoteWork): readonly string[] => [spec.peerRef.name],
  money: ({ status }: RemoteWork): readonly string[] =>
    conditionOf(status?.conditions, 'Delivered')?.reason === 'SpendLimit' ? [waiting] : [],
}

export const waiting = 'waiting'
export type RemoteWorkIndex = keyof typeof remoteWorkIndexes
