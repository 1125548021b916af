import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import type { PeerLimits } from '@hansa/operator/gateway/data/limits.ts'
import { type DataPath, startDataPath } from '@hansa/operator/gateway/data/start-data-path.ts'
import { type Authority, createAuthority } from '@hansa/operator/identity/authority.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { remoteWork } from '../../builders/remote-work.ts'
import { type FetchRig, startRig } from '../fetch/fetch-rig.ts'
import { type ScriptedCluster, scriptedCluster } from '../gateway/scripted-cluster.ts'

const trustDomain = 'test.hansa'
const gatewayUri = `spiffe://${trustDomain}/ns/hansa-system/sa/hansa-gateway`

/** One owner: fetch worker and gateway's data path in this process, over real TLS; the API server is scripted. */
export type Owner = {
  owner: TestOwner
  authority: Authority
  cluster: ScriptedCluster
  fetch: FetchRig
  data: DataPath
  registry: Registry
  modelsDir: string
  changed(): void
}

export async function startOwner(name: string, limits: Partial<PeerLimits> = {}): Promise<Owner> {
  const owner = await testOwner(name)
  const authority = await createAuthority({ trustDomain })
  const cluster = scriptedCluster()
  cluster.identities = [identityOf(owner)]
  const modelsDir = await mkdtemp(join(tmpdir(), 'hansa-models-'))
  const fetch = await startRig({ authority, env: { HANSA_LOCAL_ROOT: modelsDir } })
  const registry = new Registry()
  const data = await startDataPath(
    {
      host: '127.0.0.1',
      port: 0,
      internalPort: 0,
      fetchUrl: fetch.fetch().url,
      trustDomain,
      limits: { maxStreams: 16, maxRequests: 256, bytesPerSecond: 2 ** 30, stallSeconds: 30, ...limits },
    },
    {
      identity: await memoryIdentity(authority, gatewayUri),
      client: cluster.client,
      startCredentials: async () => {
        const held = { ...(await owner.certificate('gateway')), caPem: owner.authority.caPem }
        return { current: () => held, onRenewed: () => () => undefined, close: async () => undefined }
      },
      clock: systemClock,
      random: Math.random,
      log: createLogger('gateway', 'silent'),
      registry,
    },
  )
  // Fetch is told where the gateway listens, which is known only now.
  const { port } = new URL(fetch.fetch().url)
  await fetch.restart({ HANSA_PEER_BLOBS_URL: data.url, HANSA_FETCH_PORT: port })
  onTestFinished(async () => {
    await data.close()
    await rm(modelsDir, { recursive: true, force: true })
  })
  return { owner, authority, cluster, fetch, data, registry, modelsDir, changed: cluster.changed }
}

/** Makes `other` a Peer of `one`. */
export function joined(one: Owner, other: Owner, spec: Partial<Peer['spec']>): void {
  const peer = peerOf(other.owner, other.owner.bundle.ownerId)
  one.cluster.peers = [...one.cluster.peers, { ...peer, spec: { ...peer.spec, ...spec } }]
  one.changed()
}

/** What `from` asked of `to`, granted on both sides. */
export function granted(
  from: Owner,
  to: Owner,
  requestId: string,
  files: { sha256: string; sizeBytes: number }[],
): void {
  const name = `work-${requestId.slice(-4)}`
  const work: RemoteWork = remoteWork(name, {
    models: [
      {
        name: 'm',
        format: 'ONNX',
        source: 'Requester',
        files: files.map((file, i) => ({ ...file, path: i === 0 ? 'model.onnx' : `file-${i}` })),
      },
    ],
  })
  work.metadata = { name, namespace: 'radiology', uid: requestId }
  work.spec.peerRef.name = to.owner.bundle.ownerId
  work.status = { answer: { decision: 'Granted', sequence: 1 } }
  from.cluster.remoteWorks = [...from.cluster.remoteWorks, work]
  const guest: GuestWork = {
    apiVersion,
    kind: 'GuestWork',
    metadata: { name: `guest-${requestId.slice(-4)}`, namespace: 'hansa-system' },
    spec: { peerRef: { name: from.owner.bundle.ownerId }, requestId, request: '{}' },
    status: { decision: 'Granted', local: { namespace: 'guests' } },
  }
  to.cluster.guestWorks = [...to.cluster.guestWorks, guest]
  from.changed()
  to.changed()
}
