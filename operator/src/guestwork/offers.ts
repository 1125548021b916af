import type { SharePolicySpec } from '../api/share-policy.ts'
import type { MessageOf } from '../federation/messages.ts'
import type { Node } from '../kube/builtin.ts'
import { windowState } from '../sharepolicy/windows.ts'
import type { PolicyView } from './decide.ts'
import { admits } from './pod-view.ts'
import { type Amounts, amountsOf, gpusOf } from './resources.ts'
import type { Usage } from './usage.ts'

export type Offers = MessageOf<'Offer'>['offers']
type Band = Offers[number]['free']

const mostOffers = 32
const gpuModelLabel = 'nvidia.com/gpu.product'

/** A node and what is free on it. */
export type FreeNode = { readonly node: Node; readonly free: Amounts }

/**
 * What a peer is told that it might get now: for each policy that names it and hides nothing, each model of GPU with the free ones
 * in bands, within the quota. No promise, and no exact number.
 */
export function offersFor(
  peerName: string,
  policies: readonly PolicyView[],
  nodes: readonly FreeNode[],
  usage: (policyName: string) => Usage,
  now: number,
): Offers {
  const free = freeByModel(nodes)
  return policies
    .filter(({ spec, problem, settling }) => {
      const named = spec.peers.some(({ name }) => name === peerName)
      return named && spec.offer === 'Bands' && !spec.suspend && problem === undefined && settling !== true
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name, spec }) => offersOf(spec, free, usage(name), now))
    .slice(0, mostOffers)
}

function offersOf(spec: SharePolicySpec, free: ReadonlyMap<string, number>, usage: Usage, now: number): Offers {
  const quota = amountsOf(spec.quota)
  const left = Math.max(0, gpusOf(quota) - gpusOf(usage.amounts))
  const window = windowState(spec.windows, now)
  const time = (instant: number | undefined) => (instant === undefined ? undefined : new Date(instant).toISOString())
  const opens = window.open ? undefined : time(window.opens)
  const closes = window.open ? time(window.closes) : undefined
  return [...free].map(([gpuModel, count]) => ({
    workloads: spec.workloads,
    gpuModel,
    free: window.open && usage.leases < spec.maxLeases ? bandOf(Math.min(count, left)) : 'None',
    dataClasses: spec.dataClasses,
    ...(spec.price !== undefined && { price: spec.price }),
    ...(opens !== undefined && { opens }),
    ...(closes !== undefined && { closes }),
  }))
}

/** Free GPUs of each model on nodes that take guests, `none` for clusters without any. */
function freeByModel(nodes: readonly FreeNode[]): Map<string, number> {
  const free = new Map<string, number>()
  for (const { node, free: amounts } of nodes) {
    if (!admits(node, {}) || gpusOf(amountsOf(node.status?.allocatable)) === 0) continue
    const model = (node.metadata.labels?.[gpuModelLabel] ?? 'unknown').slice(0, 63)
    free.set(model, (free.get(model) ?? 0) + Math.max(0, gpusOf(amounts)))
  }
  if (free.size === 0) free.set('none', 0)
  return new Map([...free].sort(([a], [b]) => (a < b ? -1 : 1)))
}

export function bandOf(gpus: number): Band {
  if (gpus < 1) return 'None'
  if (gpus < 4) return 'Few'
  return gpus < 16 ? 'Some' : 'Many'
}
