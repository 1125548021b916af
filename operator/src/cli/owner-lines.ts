import type { InferenceServiceStatus } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import type { Peer } from '../api/peer.ts'
import type { ReasonText } from '../api/reason.ts'
import { remoteWorkReasons } from '../api/remote-work-reasons.ts'
import { ownerKey } from '../placement/owner-share.ts'
import { type Io, paint } from './io.ts'

type Owner = NonNullable<InferenceServiceStatus['owners']>[number]

const marks = { True: ['green', '+'], False: ['red', 'x'], Unknown: ['yellow', '?'] } as const

/** Other owners, each with its peers below it; where Peers may not be read, each peer is taken for an owner of its own. */
export function ownerTree(
  owners: readonly Owner[] | undefined,
  peers: readonly Peer[] | undefined,
  io: Io,
  indent: string,
): string[] {
  const groups = new Map<string, { label: string; owners: Owner[] }>()
  for (const owner of owners ?? []) {
    const peer = peers?.find(({ metadata }) => metadata.name === owner.peer)
    const key = ownerKey(owner.peer, peer)
    const group = groups.get(key) ?? { label: peer?.spec.ownerId ?? `of peer ${owner.peer}`, owners: [] }
    group.owners.push(owner)
    groups.set(key, group)
  }
  return [...groups.values()].flatMap(({ label, owners: own }) => {
    const ready = own.reduce((sum, each) => sum + (each.readyReplicas ?? 0), 0)
    const wanted = own.reduce((sum, each) => sum + each.wanted, 0)
    return [`${indent}owner ${label}: ${ready} of ${wanted} ready`, ...ownerLines(own, io, `${indent}  `)]
  })
}

/** How it stands at each peer: its answer, the lease, the workers, and why it is not as wanted. */
export function ownerLines(owners: readonly Owner[] | undefined, io: Io, indent: string): string[] {
  return (owners ?? []).flatMap((owner) => {
    const { peer, answer, lease, wanted, readyReplicas = 0, remoteWork } = owner
    const status = owner.reason === undefined ? 'True' : (textOf(owner.reason)?.status ?? 'Unknown')
    const [colour, sign] = marks[status]
    const leased = lease === 'None' ? '' : `, lease ${lease.toLowerCase()}`
    const name = remoteWork === undefined ? '' : ` (RemoteWork ${remoteWork})`
    return [
      `${indent}${paint(io, colour, sign)} peer ${peer}: ${answer.toLowerCase()}${leased}, ${readyReplicas} of ${wanted} ready${name}`,
      ...whyLines(owner, io, `${indent}  `),
    ]
  })
}

function whyLines({ reason, message = '', refusals = [] }: Owner, io: Io, indent: string): string[] {
  if (reason === undefined) return []
  // A refusal's reasons have lines of their own; the message is their sum.
  const lines = refusals.map((each) => `${indent}${paint(io, 'red', each.reason)}: ${each.message}`)
  if (refusals.length === 0) lines.push(`${indent}${reason}: ${message}`)
  const remedy = textOf(reason)?.remedy
  return remedy === undefined ? lines : [...lines, `${indent}${paint(io, 'grey', remedy)}`]
}

function textOf(reason: string): ReasonText | undefined {
  for (const catalogue of [...Object.values(remoteWorkReasons), inferenceServiceReasons.PeersReady]) {
    const text = Object.entries(catalogue).find(([word]) => word === reason)?.[1]
    if (text !== undefined) return text
  }
  return undefined
}
