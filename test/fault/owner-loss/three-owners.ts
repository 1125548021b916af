import { apiVersion } from '@hansa/operator/api/resource.ts'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type FederatedOwner, type Federation, startFederation } from '../../cluster/hansa/federation.ts'
import { eventually } from '../../demo/wait.ts'
import { model } from '../../integration/operator/objects.ts'

export const namespace = 'library'
const guests = 'guest-library'
const apis = '/apis/hansa.dev/v1alpha1'
/** As short as somebody has them who wants lost workers elsewhere soon. */
export const leaseSeconds = 20
export const peers = ['university', 'city'] as const
export type PeerName = (typeof peers)[number]

const objectsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), uid: z.string(), deletionTimestamp: z.string().optional() }),
      spec: z.object({ peerRef: z.object({ name: z.string() }).optional() }).default({}),
      status: z
        .object({
          readyReplicas: z.number().default(0),
          lease: z.object({ state: z.string().optional() }).optional(),
          conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
        })
        .default({ readyReplicas: 0, conditions: [] }),
    }),
  ),
})
const serviceSchema = z.object({
  status: z
    .object({
      readyReplicas: z.number().default(0),
      owners: z.array(z.object({ peer: z.string(), readyReplicas: z.number(), lease: z.string() })).default([]),
    })
    .default({ readyReplicas: 0, owners: [] }),
})

/** The library has a service of three workers: one of its own, one at each of two peers. */
export type ThreeOwners = {
  readonly federation: Federation
  readonly library: FederatedOwner
  readonly url: string
  /** Ready workers by owner, `own` among them. */
  ready(): Promise<Record<string, number>>
  /** Ids of what the library asked of a peer. */
  works(peer: PeerName): Promise<string[]>
  /** Ids of what a peer took from the library, and of the pods that run it. */
  guests(peer: PeerName): Promise<string[]>
  stop(): Promise<void>
}

/** Starts three owners and waits until each has a ready worker. */
export async function startThreeOwners(log: (line: string) => void): Promise<ThreeOwners> {
  const federation = await startFederation({
    owners: ['library', ...peers].map((name) => ({ name, nodes: 1, gpusPerNode: 0 })),
    pairs: peers.map((peer) => ['library', peer]),
    log,
  })
  try {
    const library = federation.owner('library')
    await library.apply(await asked())
    for (const peer of peers) await federation.owner(peer).apply(lent())
    const list = async (owner: FederatedOwner, path: string) =>
      objectsSchema
        .parse(await owner.get(path))
        .items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    const owners: ThreeOwners = {
      federation,
      library,
      url: `${library.gatewayUrl}/${namespace}/digits`,
      async ready() {
        const { status } = serviceSchema.parse(
          await library.get(`${apis}/namespaces/${namespace}/inferenceservices/digits`),
        )
        const atPeers = status.owners.map((each) => [each.peer, each.readyReplicas] as const)
        return { own: status.readyReplicas, ...Object.fromEntries(atPeers) }
      },
      async works(peer) {
        const works = await list(library, `${apis}/namespaces/${namespace}/remoteworks`)
        return works.filter(({ spec }) => spec.peerRef?.name === peer).map(({ metadata }) => metadata.uid)
      },
      async guests(peer) {
        const owner = federation.owner(peer)
        const works = await list(owner, `${apis}/namespaces/hansa-system/guestworks`)
        const pods = await list(owner, `/api/v1/namespaces/${guests}/pods`)
        return [...works, ...pods].map(({ metadata }) => metadata.uid)
      },
      stop: () => federation.stop(),
    }
    await allServe(owners)
    return owners
  } catch (error) {
    await federation.stop()
    throw error
  }
}

/** Waits until each owner has a ready worker. */
export async function allServe({ ready }: ThreeOwners, seconds = 180): Promise<void> {
  await eventually(
    'each owner has a ready worker',
    async () => {
      const counts = await ready()
      if (['own', ...peers].every((name) => counts[name] === 1)) return true
      throw new Error(JSON.stringify(counts))
    },
    { seconds },
  )
}

async function asked(): Promise<string> {
  const labels = { 'hansa.dev/data-class': 'Internal', 'pod-security.kubernetes.io/enforce': 'restricted' }
  const egress = { dataClasses: ['Internal'], peers: peers.map((name) => ({ name })) }
  const spec = {
    modelRef: { name: 'digits' },
    scaling: { minReplicas: 3, maxReplicas: 3 },
    timeouts: { drainSeconds: 2 },
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    access: { serviceAccounts: [{ namespace, name: 'reader' }] },
    placement: {
      strategy: 'MostResilient',
      minOwners: 3,
      own: { maxReplicas: 3 },
      peers: peers.map((name) => ({ name, maxReplicas: 2 })),
      leaseSeconds,
    },
  }
  return yaml(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader', namespace } },
    { apiVersion, kind: 'EgressPolicy', metadata: { name: 'internal' }, spec: egress },
    { ...(await model('digits', 'digits/v1')), metadata: { name: 'digits', namespace } },
    { apiVersion, kind: 'InferenceService', metadata: { name: 'digits', namespace }, spec },
  )
}

function lent(): string {
  const strict = { 'pod-security.kubernetes.io/enforce': 'restricted', 'hansa.dev/guests': 'true' }
  const share = {
    peers: [{ name: 'library' }],
    workloads: ['Serve'],
    targetNamespace: guests,
    quota: { cpu: '4', memory: '8Gi' },
    dataClasses: ['Internal'],
    drainTimeoutSeconds: 2,
  }
  return yaml(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: guests, labels: strict } },
    { apiVersion, kind: 'SharePolicy', metadata: { name: 'to-library' }, spec: share },
  )
}

function yaml(...objects: object[]): string {
  return objects.map((each) => stringify(each)).join('---\n')
}
