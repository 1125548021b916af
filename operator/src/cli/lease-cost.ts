import type { GuestWork } from '../api/guest-work.ts'
import type { LeasePrice } from '../api/owner-scalars.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { gpusOf, workerAmounts } from '../guestwork/resources.ts'
import { serviceLabel } from '../inferenceservice/names.ts'

/** What one lease costs us (Taken) or brings us (Given), by what the objects say; nobody has settled it. */
export type CostLine = {
  readonly direction: 'Taken' | 'Given'
  readonly peer: string
  /** `namespace/name` of our InferenceService, or the name of the GuestWork. */
  readonly service: string
  readonly leases: number
  /** Workers that exist, and their GPUs. */
  readonly workers: number
  readonly gpus: number
  readonly price: LeasePrice | undefined
  readonly microsPerHour: number
  readonly gpuSeconds: number
  readonly microsSoFar: number
}

/** Undefined where there never was a lease, or of a tombstone. */
export function costOfRemoteWork({ metadata, spec, status }: RemoteWork): CostLine | undefined {
  const lease = status?.lease
  // Epoch 0 stands for a request that was given up before there was a lease.
  if (lease === undefined || lease.epoch === 0 || spec.cancelled !== undefined) return undefined
  const service = metadata.labels?.[serviceLabel] ?? metadata.name
  return costLine({
    direction: 'Taken',
    peer: spec.peerRef.name,
    service: `${metadata.namespace ?? ''}/${service}`,
    price: lease.price,
    workers: lease.state === 'Ended' ? 0 : (status?.replicas ?? 0),
    gpusPerWorker: gpusOf(workerAmounts(spec.work)),
    gpuSeconds: status?.gpuSeconds ?? 0,
  })
}

/** `gpusPerWorker` is in the signed request; undefined where there never was a lease. */
export function costOfGuestWork({ metadata, spec, status }: GuestWork, gpusPerWorker: number): CostLine | undefined {
  const lease = status?.lease
  if (lease === undefined) return undefined
  return costLine({
    direction: 'Given',
    peer: spec.peerRef.name,
    service: metadata.name,
    price: lease.price,
    workers: status?.decision === 'Granted' ? (status.replicas ?? 0) : 0,
    gpusPerWorker,
    gpuSeconds: status?.gpuSeconds ?? 0,
  })
}

function costLine(lease: {
  direction: CostLine['direction']
  peer: string
  service: string
  price: LeasePrice | undefined
  workers: number
  gpusPerWorker: number
  gpuSeconds: number
}): CostLine {
  const { gpusPerWorker, workers, price, gpuSeconds } = lease
  const micros = price?.microsPerGPUHour ?? 0
  const gpus = workers * gpusPerWorker
  return {
    direction: lease.direction,
    peer: lease.peer,
    service: lease.service,
    leases: workers > 0 ? 1 : 0,
    workers,
    gpus,
    price,
    microsPerHour: gpus * micros,
    gpuSeconds,
    // Rounded down, as claims are. The product may leave the safe integers, the quotient does not.
    microsSoFar: Number((BigInt(gpuSeconds) * BigInt(micros)) / 3600n),
  }
}

/** Adds up what goes to the same peer for the same service at the same price. */
export function perService(lines: readonly CostLine[]): CostLine[] {
  return grouped(
    lines,
    ({ direction, peer, service, price }) =>
      `${direction} ${peer} ${service} ${price?.currency ?? ''} ${price?.microsPerGPUHour ?? 0}`,
  )
}

export type CostTotal = {
  direction: CostLine['direction']
  /** Undefined: all that is free. */
  currency: string | undefined
  gpus: number
  microsPerHour: number
  gpuSeconds: number
  microsSoFar: number
}

/** One sum for each direction and currency: what is in two currencies is not added up. */
export function totalsOf(lines: readonly CostLine[]): CostTotal[] {
  return grouped(lines, ({ direction, price }) => `${direction} ${price?.currency ?? ''}`).map((each) => ({
    direction: each.direction,
    currency: each.price?.currency,
    gpus: each.gpus,
    microsPerHour: each.microsPerHour,
    gpuSeconds: each.gpuSeconds,
    microsSoFar: each.microsSoFar,
  }))
}

function grouped(lines: readonly CostLine[], keyOf: (line: CostLine) => string): CostLine[] {
  const groups = new Map<string, CostLine>()
  for (const line of lines) {
    const key = keyOf(line)
    const before = groups.get(key)
    groups.set(key, before === undefined ? line : sum(before, line))
  }
  // What we take first, then what we give; each by name.
  return [...groups]
    .sort(([a, { direction: one }], [b, { direction: other }]) =>
      one === other ? (a < b ? -1 : 1) : one === 'Taken' ? -1 : 1,
    )
    .map(([, line]) => line)
}

function sum(a: CostLine, b: CostLine): CostLine {
  return {
    ...a,
    leases: a.leases + b.leases,
    workers: a.workers + b.workers,
    gpus: a.gpus + b.gpus,
    microsPerHour: a.microsPerHour + b.microsPerHour,
    gpuSeconds: a.gpuSeconds + b.gpuSeconds,
    microsSoFar: a.microsSoFar + b.microsSoFar,
  }
}
