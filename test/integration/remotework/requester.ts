import { resolve } from 'node:path'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { Model } from '@hansa/operator/api/model.ts'
import { dataClassLabel } from '@hansa/operator/api/owner-scalars.ts'
import type { RemoteWork, ToExecutor } from '@hansa/operator/api/remote-work.ts'
import { apiVersion, type KubeObject } from '@hansa/operator/api/resource.ts'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { namespaces } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { conditionOf } from '@hansa/operator/kube/conditions.ts'
import { createEventRecorder } from '@hansa/operator/kube/events.ts'
import {
  egressPolicies,
  identities,
  inferenceServices,
  models,
  peers,
  remoteWorks,
} from '@hansa/operator/kube/hansa-resources.ts'
import type { Live, Resource } from '@hansa/operator/kube/resource.ts'
import { startRequester } from '@hansa/operator/operator/requester.ts'
import { startStores } from '@hansa/operator/operator/stores.ts'
import { Registry } from 'prom-client'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { model } from '../../builders/model.ts'
import { type Delivery, type ScriptedPeer, scriptedPeer, sealOf } from '../../builders/scripted-peer.ts'
import { workerSettings } from '../../builders/worker-settings.ts'
import { installDefinitions } from '../../cluster/definitions.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { clientFor, testLog, eventually as within } from '../kube/harness.ts'

export const timeout = 120_000
const systemNamespace = 'hansa-system'
const { signal } = new AbortController()

/** The asking side on a real API server, a peer that says what a test has it say, and the hands of users, admins and the link. */
export type Requester = Awaited<ReturnType<typeof startAsking>>

export async function startAsking(name: string) {
  const owner: Owner = await startOwner({ name })
  await installDefinitions(owner)
  const client = await clientFor(owner.kubeconfigPath, 'test')
  const [us, university] = await Promise.all([testOwner('clinic'), testOwner('university')])
  const make = <T extends KubeObject>(resource: Resource<T>, object: T) => client.create(resource, object, { signal })
  await make(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: systemNamespace } })
  const operator = await startControllers(client, us, owner.kubeconfigPath)

  const it = {
    owner,
    client,
    says: scriptedPeer(university, us, systemClock) as ScriptedPeer,
    make,
    /** Waits; a machine under load is slow. */
    eventually: <R>(what: string, check: () => R | Promise<R>) => within(what, check, 60_000),
    /** A namespace of that class with a verified Model `digits`; without a class it is not labelled. */
    async tenant(namespace: string, dataClass?: string) {
      const labels = dataClass === undefined ? {} : { [dataClassLabel]: dataClass }
      await make(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } })
      for (const each of ['digits', 'letters']) await it.model(namespace, each)
    },
    async model(namespace: string, each: string) {
      const { metadata, ...rest } = model(each)
      const made = await make<Model>(models, { ...rest, metadata: { name: metadata.name, namespace } })
      const common = {
        status: 'True' as const,
        message: '',
        lastTransitionTime: new Date().toISOString(),
        observedGeneration: made.metadata.generation ?? 1,
      }
      const conditions = [{ type: 'Verified', reason: 'Verified', ...common }]
      await client.patch(
        models,
        { namespace, name: each },
        { status: { conditions } },
        { signal, subresource: 'status' },
      )
    },
    allow: (policy: string, spec: Record<string, unknown>) =>
      client.apply(
        egressPolicies,
        { apiVersion, kind: 'EgressPolicy', metadata: { name: policy }, spec },
        { signal, fieldManager: 'admin' },
      ),
    serve: (namespace: string, service: string, spec: Record<string, unknown>) =>
      client.apply<InferenceService>(
        inferenceServices,
        {
          apiVersion,
          kind: 'InferenceService',
          metadata: { namespace, name: service },
          spec: { modelRef: { name: 'digits' }, ...spec },
        },
        { signal, fieldManager: 'user' },
      ),
    service: async (namespace: string, service: string) => {
      const found = await client.get(inferenceServices, { namespace, name: service }, { signal })
      if (found === undefined) throw new Error(`there is no InferenceService ${service}`)
      return found
    },
    /** The RemoteWorks of a namespace that are not being deleted, oldest first. */
    works: async (namespace: string) => {
      const { items } = await client.list(remoteWorks, { namespace, signal })
      return items
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1))
    },
    tombstones: async () => (await client.list(remoteWorks, { namespace: systemNamespace, signal })).items,
    /** Waits until the namespace has one RemoteWork whose outbox holds that kind of message. */
    async outgoing(namespace: string, kind: ToExecutor, accept: (work: Live<RemoteWork>) => boolean = () => true) {
      return it.eventually(`a ${kind} of ${namespace}`, async () => {
        for (const work of await it.works(namespace)) {
          const entry = work.status?.outbox?.find((each) => each.kind === kind)
          if (entry !== undefined && accept(work)) return { work, envelope: entry.envelope, sequence: entry.sequence }
        }
        return undefined
      })
    },
    /** Puts a message of the peer into the inbox, as the link does. */
    deliver: (work: RemoteWork, message: Delivery) => {
      const { namespace = '', name: workName } = work.metadata
      return client.applyStatus<RemoteWork>(
        remoteWorks,
        { apiVersion, kind: 'RemoteWork', metadata: { namespace, name: workName }, status: { inbox: [message] } },
        // One manager a kind: each keeps its own entry of the list.
        { signal, fieldManager: `link-${message.kind}` },
      )
    },
    /** Says that the peer's link took what is in the outbox. */
    taken: (work: RemoteWork, kind: ToExecutor, sequence: number) => {
      const { namespace = '', name: workName } = work.metadata
      const status = { delivered: [{ kind, sequence }] }
      return client.applyStatus<RemoteWork>(
        remoteWorks,
        { apiVersion, kind: 'RemoteWork', metadata: { namespace, name: workName }, status },
        { signal, fieldManager: `link-taken-${kind}` },
      )
    },
    /** Waits for a condition of the newest RemoteWork. */
    becomes: (namespace: string, type: string, reason: string) =>
      it.eventually(`${type} of ${namespace} is ${reason}`, async () => {
        const works = await it.works(namespace)
        const found = works.filter(({ status }) => conditionOf(status?.conditions, type)?.reason === reason)
        return found.at(-1)
      }),
    /** Waits for an entry of status.owners. */
    owners: (namespace: string, service: string, expected: Record<string, unknown>) =>
      it.eventually(`owners of ${service}: ${JSON.stringify(expected)}`, async () => {
        const { status } = await it.service(namespace, service)
        const entry = status?.owners?.find(({ peer }) => peer === 'university')
        if (entry === undefined) return undefined
        const seen = new Map<string, unknown>(Object.entries(entry))
        return Object.entries(expected).every(([key, value]) => seen.get(key) === value) ? entry : undefined
      }),
    /** Writes Peer and Identity as their controllers would. */
    async join() {
      const identity = identityOf(us)
      await make(identities, { ...identity, metadata: { name: 'main' } })
      await client.patch(identities, { name: 'main' }, { status: identity.status }, { signal, subresource: 'status' })
      await it.know(university)
    },
    async know(who: TestOwner) {
      const { status, ...peer } = peerOf(who, 'university')
      await make(peers, { ...peer, metadata: { name: 'university' } })
      await it.connect(true, status?.conditions)
      await client.patch(
        peers,
        { name: 'university' },
        { status: { trustDomain: status?.trustDomain, bundle: status?.bundle } },
        { signal, subresource: 'status' },
      )
    },
    /** What the Peer controller says of the connection. */
    connect: (isConnected: boolean, others = peerOf(university).status?.conditions ?? []) => {
      const connected = {
        type: 'Connected',
        status: isConnected ? 'True' : 'Unknown',
        reason: isConnected ? 'Connected' : 'NotConnected',
        message: '',
        lastTransitionTime: new Date().toISOString(),
      }
      const status = { conditions: [...others, connected] }
      return client.patch(peers, { name: 'university' }, { status }, { signal, subresource: 'status' })
    },
    /** A new process of the operator, which remembers nothing. */
    restart: () => operator.restart(),
    async stop() {
      await operator.stop()
      await client.close()
      await owner.stop()
    },
  }
  return it
}

async function startControllers(client: KubeClient, us: TestOwner, kubeconfig: string) {
  let stop = await start()
  async function start() {
    const stopping = new AbortController()
    const registry = new Registry()
    const own = await clientFor(resolve(kubeconfig), 'hansa-operator')
    const stores = startStores({ client: own, log: testLog, registry, systemNamespace }, stopping.signal)
    const events = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: 'test', log: testLog })
    const requester = startRequester(
      {
        client: own,
        stores,
        events,
        seal: sealOf(us, systemClock),
        openMessage,
        systemNamespace,
        settings: workerSettings,
        concurrency: 4,
        clock: systemClock,
        log: testLog,
        registry,
      },
      stopping.signal,
    )
    return async () => {
      stopping.abort()
      await requester.stop()
      await events.close()
      await own.close()
    }
  }
  return {
    stop: () => stop(),
    async restart() {
      await stop()
      stop = await start()
    },
  }
}
