import type { InferenceServiceStatus } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import type { ReasonText } from '../api/reason.ts'
import { remoteWorkReasons } from '../api/remote-work-reasons.ts'
import { type Io, paint } from './io.ts'

type Owner = NonNullable<InferenceServiceStatus['owners']>[number]

const marks = { True: ['green', '+'], False: ['red', 'x'], Unknown: ['yellow', '?'] } as const

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
