import type { OwnerIdentity } from '../api/identity.ts'
import type { InferenceService } from '../api/inference-service.ts'
import type { Peer } from '../api/peer.ts'
import { ownName, strategies } from '../api/placement.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { gpusOf, workerAmounts } from '../guestwork/resources.ts'
import { serviceLabel } from '../inferenceservice/names.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { isTrue } from '../kube/conditions.ts'
import { identities, inferenceServices, models, peers, remoteWorks } from '../kube/hansa-resources.ts'
import {
  type Alternative,
  type AlternativesInput,
  alternativeOf,
  alternatives,
  type Choice,
  type Filled,
} from '../layers/alternatives.ts'
import { type LayerView, type LedgerView, layersOf, wantedWorkers } from '../layers/layers.ts'
import { judge } from '../layers/requirements.ts'
import { type Candidate, decidePlacement } from '../placement/decide.ts'
import { isDivided } from '../placement/managed.ts'
import { ownerKey, ownerShares } from '../placement/owner-share.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { factsOf } from './explain.ts'
import { readForPlacement } from './explain-read.ts'
import type { Io } from './io.ts'
import { layersText } from './layers-text.ts'
import { askLedgerJson } from './ledger/ask-ledger.ts'
import { mostOfBand, offersOf, roundTripOf } from './offers.ts'
import { type Format, printObject } from './output.ts'
import { readable } from './readable.ts'

/** Layers that a service has none of yet. */
export const laterLayers = ['Training', 'Governance'] as const

/** `layers NAME`: how spread each layer is, and what other placements would cost. Returns false where a requirement is broken. */
export async function showLayers(
  client: KubeClient,
  options: { name: string; namespace: string; systemNamespace: string; ledgerUrl?: string; output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<boolean> {
  const { name, namespace } = options
  const service = await client.get(inferenceServices, { namespace, name }, { signal })
  if (service === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `there is no InferenceService ${name} in namespace ${namespace}`,
      'kubectl hansa list --all-namespaces shows all.',
    )
  }
  const [model, known, own, works] = await Promise.all([
    client.get(models, { namespace, name: service.spec.modelRef.name }, { signal }),
    readable(client, peers, { signal }),
    readable(client, identities, { signal }),
    readable(client, remoteWorks, { namespace, labelSelector: `${serviceLabel}=${name}`, signal }),
  ])
  const ownTrustDomains = (own ?? []).flatMap(({ status }) => status?.trustDomain ?? [])
  const ledger =
    options.ledgerUrl === undefined ? undefined : await ledgerView(client, options.ledgerUrl, options, signal)
  const layers = layersOf({ service, model, peers: known ?? [], ownTrustDomains, ledger })
  const verdict = judge(service.spec.placement?.requirements, layers)
  const size = sizeOf(service, known ?? [])
  const found = alternatives({
    ...size,
    choices: choicesOf(service, { peers: known ?? [], identities: own ?? [], works: works ?? [] }, io.now()),
  })
  found.push(...(await plannedAlternatives(client, service, size.gpusPerWorker, io, signal)))
  if (options.output === 'table') {
    io.out(layersText(service, { layers, verdict, alternatives: found }, io))
    if (known === undefined)
      io.err('You may not read Peers: each counts as an owner of its own, and prices are not known.\n')
  } else {
    const later = laterLayers.map((layer) => ({ layer, unknown: 'not there yet' }))
    await printObject(io, options.output, {
      layers: [...layers, ...later],
      decentralized: verdict,
      alternatives: found,
    })
  }
  return verdict?.status !== 'False'
}

type Checkpoints = { items: readonly { cosignedBy: readonly string[] }[] }

/** Who cosigned the last checkpoint, as the ledger says. */
async function ledgerView(
  client: KubeClient,
  url: string,
  { systemNamespace }: { systemNamespace: string },
  signal: AbortSignal,
): Promise<LedgerView> {
  const call = { method: 'GET', path: '/v1/checkpoints', query: {} } as const
  const { items } = await askLedgerJson<Checkpoints>(client, { systemNamespace, url }, call, signal)
  return { witnesses: items.flatMap(({ cosignedBy }) => cosignedBy) }
}

export type LayersSeen = {
  layers: readonly LayerView[]
  verdict: ReturnType<typeof judge>
  alternatives: readonly Alternative[]
}

/** The workers that there are, or that are wanted where none are ready yet. */
function sizeOf(
  service: InferenceService,
  known: readonly Peer[],
): Pick<AlternativesInput, 'now' | 'workers' | 'gpusPerWorker' | 'currency'> {
  const now = ownerShares(service, known).flatMap(({ owner, readyReplicas }) =>
    readyReplicas > 0 ? [{ owner, workers: readyReplicas }] : [],
  )
  const ready = now.reduce((sum, { workers }) => sum + workers, 0)
  return {
    now,
    workers: Math.max(1, ready, wantedWorkers(service)),
    gpusPerWorker: gpusOf(workerAmounts({ resources: service.spec.resources })),
    currency: service.spec.placement?.maxPrice?.currency,
  }
}

/** What each strategy would do with the workers that may be divided, as policies, room and limits of the spec allow: the operator's own plan. */
async function plannedAlternatives(
  client: KubeClient,
  service: InferenceService,
  gpusPerWorker: number,
  io: Io,
  signal: AbortSignal,
): Promise<Alternative[]> {
  if (!isDivided(service.spec)) return []
  const { namespace = '', name } = service.metadata
  const seen = await readForPlacement(client, { name, namespace }, signal)
  if (seen?.canJudge !== true) return []
  const facts = factsOf(seen, service.status?.desiredReplicas ?? 0, io.now())
  return strategies.map((strategy) => {
    const { candidates, unplaced } = decidePlacement({ ...facts, strategy })
    return alternativeOf(
      strategy,
      candidates.flatMap((each) => filledOf(each, facts.maxPrice?.currency)),
      unplaced,
      gpusPerWorker,
    )
  })
}

export function filledOf(
  { name, ownerKey, replicas, priceMicros, peer }: Candidate,
  currency: string | undefined,
): Filled[] {
  if (replicas === 0) return []
  const price = priceMicros === 0 || currency === undefined ? 'Free' : { currency, microsPerGPUHour: priceMicros }
  const latencyMilliseconds = peer === undefined ? 0 : peer.roundTripMilliseconds
  return [{ choice: { owner: name, ownerKey, price, latencyMilliseconds }, workers: replicas }]
}

/** This cluster, and each verified Peer that is not frozen, with the price of its lease or else of its cheapest offer. */
function choicesOf(
  service: InferenceService,
  seen: { peers: readonly Peer[]; identities: readonly OwnerIdentity[]; works: readonly RemoteWork[] },
  now: number,
): Choice[] {
  const { placement, resources } = service.spec
  const gpus = gpusOf(workerAmounts({ resources }))
  const own: Choice = {
    owner: ownName,
    ownerKey: ownName,
    price: 'Free',
    latencyMilliseconds: 0,
    mostWorkers: placement?.own?.maxReplicas,
  }
  const usable = seen.peers.filter(({ spec, status }) => !spec.suspend && isTrue(status?.conditions, 'Verified'))
  return [
    own,
    ...usable.map((peer) => {
      const { name } = peer.metadata
      const isOurs = seen.identities.some((each) => each.status?.trustDomain === peer.status?.trustDomain)
      const key = isOurs ? ownName : ownerKey(name, peer)
      const offers = offersOf(peer, seen.identities, now).filter(({ workloads }) => workloads.includes('Serve'))
      const lease = seen.works.find(
        ({ spec, status }) => spec.peerRef.name === name && status?.lease?.state === 'Active',
      )
      const workers = service.status?.owners?.find(({ peer: each }) => each === name)?.readyReplicas ?? 0
      return {
        owner: name,
        ownerKey: key,
        latencyMilliseconds: roundTripOf(peer),
        ...termsOf(offers, lease, gpus, workers),
      }
    }),
  ]
}

type Offers = ReturnType<typeof offersOf>

/** Price and room at a peer. Without GPUs nothing costs, and offers say nothing about room. */
export function termsOf(
  offers: Offers,
  lease: RemoteWork | undefined,
  gpus: number,
  workersThere: number,
): Pick<Choice, 'price' | 'mostWorkers'> {
  if (gpus === 0) return { price: 'Free' }
  const cheapest = offers.toSorted((a, b) => (a.price?.microsPerGPUHour ?? 0) - (b.price?.microsPerGPUHour ?? 0))[0]
  const leased = lease?.status?.lease
  const price = leased !== undefined ? (leased.price ?? 'Free') : cheapest && (cheapest.price ?? 'Free')
  if (offers.length === 0) return { price }
  const bands = offers.map(({ free }) => mostOfBand[free])
  const free = bands.reduce((sum, most) => (sum === undefined || most === undefined ? undefined : sum + most), 0)
  // What is there already is room that was found.
  return { price, mostWorkers: free === undefined ? undefined : workersThere + Math.floor(free / gpus) }
}
