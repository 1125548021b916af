import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import { apiVersion } from '@hansa/operator/api/resource.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { isTrue } from '@hansa/operator/kube/conditions.ts'
import { peers as peerResource, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import { type Live, refOf } from '@hansa/operator/kube/resource.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { type KnownOwner, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { type ScriptedPeer, scriptedPeer } from '../../builders/scripted-peer.ts'
import { answerCalls } from '../../tools/process-calls.ts'
import { type Api, clientOf } from './client-of.ts'

// All other owners: each with keys of its own, and the link of ours that carries between them. They grant whatever they are asked.
const { signal } = new AbortController()
const log = createLogger('owners', 'silent')
const owners = new Map<string, { owner: TestOwner; says: ScriptedPeer }>()
const silent = new Set<string>()
const answered = new Set<string>()
/** By service `namespace/name`: when its first RemoteWork was seen, and when it was seen granted; milliseconds of the wall clock. */
const seen = new Map<string, { persisted: number; granted?: number; peer: string }>()
let client: KubeClient | undefined

type Start = { api: Api; count: number; us: KnownOwner; ttlSeconds: number }

answerCalls({
  start: async ({ api, count, us, ttlSeconds }: Start) => {
    client = await clientOf(api, 'links')
    for (let i = 0; i < count; i++) {
      const name = `owner-${i}`
      const owner = await testOwner(name)
      owners.set(name, { owner, says: scriptedPeer(owner, us, systemClock) })
      const { status, ...peer } = peerOf(owner, name)
      await client.create(peerResource, { ...peer, metadata: { name } }, { signal })
      await say(name, 'True', status)
    }
    const { store } = startReflector({ client, log, registry: new Registry() }, { resource: remoteWorks }, signal)
    store.subscribe(({ current }) => {
      if (current !== undefined) note(current, ttlSeconds)
    })
    await store.synced
  },
  /** From now on these are not heard of: they answer nothing, and their Peers are Connected=Unknown. */
  blackHole: async (names: string[]) => {
    for (const name of names) {
      silent.add(name)
      await say(name, 'Unknown')
    }
  },
  seen: (prefix: string) => [...seen].filter(([key]) => key.startsWith(prefix)),
})

async function say(name: string, connected: 'True' | 'Unknown', rest?: ReturnType<typeof peerOf>['status']) {
  const known = owners.get(name)
  if (known === undefined || client === undefined) throw new Error(`there is no owner ${name}`)
  const { conditions = [], ...status } = rest ?? peerOf(known.owner, name).status ?? {}
  const reason = connected === 'True' ? 'Connected' : 'NotConnected'
  const now = new Date().toISOString()
  const both = ['Connected', 'Ready'].map((type) => ({
    ...{ type, status: connected, reason, message: '', lastTransitionTime: now },
  }))
  await client.patch(
    peerResource,
    { name },
    { status: { ...status, conditions: [...conditions, ...both] } },
    { signal, subresource: 'status' },
  )
}

function note(work: Live<RemoteWork>, ttlSeconds: number): void {
  const { namespace = '', labels } = work.metadata
  const key = `${namespace}/${labels?.['hansa.dev/inference-service']}`
  const peer = work.spec.peerRef.name
  const entry = seen.get(key) ?? { persisted: Date.now(), peer }
  seen.set(key, entry)
  if (isTrue(work.status?.conditions, 'Granted')) entry.granted ??= Date.now()
  const request = work.status?.outbox?.find(({ kind }) => kind === 'Request')
  if (request === undefined || answered.has(work.metadata.uid) || silent.has(peer)) return
  answered.add(work.metadata.uid)
  answer(work, request.envelope, request.sequence, ttlSeconds).catch((error: unknown) => {
    process.stderr.write(`${peer} cannot answer: ${error instanceof Error ? error.message : error}\n`)
  })
}

async function answer(work: Live<RemoteWork>, request: string, sequence: number, ttlSeconds: number): Promise<void> {
  const { says } = owners.get(work.spec.peerRef.name) ?? {}
  if (says === undefined || client === undefined) return
  const { replicas, attempt } = work.spec.work
  const granted = await says.grant(request, { epoch: 1, ttlSeconds, attempt })
  const report = await says.report(work.metadata.uid, 1, { replicas, readyReplicas: replicas })
  const status = { delivered: [{ kind: 'Request' as const, sequence }], inbox: [granted, report] }
  await client.applyStatus<RemoteWork>(
    remoteWorks,
    { apiVersion, kind: 'RemoteWork', metadata: refOf(work), status },
    { signal, fieldManager: 'hansa-link' },
  )
}

export type { Start }
export type Sighting = { persisted: number; granted?: number; peer: string }
