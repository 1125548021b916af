import { randomBytes, randomUUID } from 'node:crypto'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { OwnerIdentity } from '@hansa/operator/api/identity.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { Peer } from '@hansa/operator/api/peer.ts'
import type { ToExecutor, Work } from '@hansa/operator/api/remote-work.ts'
import type { KubeObject } from '@hansa/operator/api/resource.ts'
import type { MessageKind, MessageOf } from '@hansa/operator/federation/messages.ts'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { startGuests } from '@hansa/operator/guestwork/start.ts'
import { startGuestStores } from '@hansa/operator/guestwork/stores.ts'
import { namespaces, networkPolicies } from '@hansa/operator/kube/builtin.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { createEventRecorder } from '@hansa/operator/kube/events.ts'
import { guestWorks, identities, inferenceServices, models, peers } from '@hansa/operator/kube/hansa-resources.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { Registry } from 'prom-client'
import { identityOf, peerOf, type TestOwner, testOwner } from '../../builders/federation.ts'
import { work } from '../../builders/work.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { clientFor, eventually, testLog } from '../kube/harness.ts'

export const systemNamespace = 'hansa-system'
const { signal } = new AbortController()

/** An executor's cluster with only the controllers of sharing in it, and a requester that is nothing but keys. */
export type Stage = Awaited<ReturnType<typeof startStage>>

export async function startStage(name: string) {
  const owner = await startOwner({ name })
  const client = await clientFor(owner.kubeconfigPath, 'stage')
  const [clinic, university] = await Promise.all([testOwner('clinic'), testOwner('university')])
  await prepare(owner, client, clinic, university)
  let running = start(client, clinic)

  /** Makes the message of the requester. */
  async function say<K extends 'Request' | ToExecutor>(kind: K, body: object): Promise<string> {
    const seal = createSeal({
      sealingOf: async () => ({ bundle: university.bundle, signerOf: university.signerOf }),
      clock: systemClock,
    })
    // The body is checked against the schema of its kind when it is sealed.
    return seal(kind, { sequence: 1, ...body } as never, {
      identityName: 'main',
      peer: peerOf(clinic),
      seconds: 600,
      signal,
    })
  }
  const ref = (work: GuestWork) => ({ namespace: systemNamespace, name: work.metadata.name })
  const read = async (work: GuestWork): Promise<Live<GuestWork>> => {
    const found = await client.get(guestWorks, ref(work), { signal })
    if (found === undefined) throw new Error(`GuestWork ${work.metadata.name} is gone`)
    return found
  }

  return {
    owner,
    client,
    signal,
    read,
    /** Delivers a signed request as the link would. */
    async ask(
      changes: Partial<Work> = {},
      by: (kind: 'Request', body: object) => Promise<string> = say,
    ): Promise<Live<GuestWork>> {
      const requestId = randomUUID()
      const request = await by('Request', { requestId, work: work(changes) })
      return client.create(
        guestWorks,
        {
          apiVersion: 'hansa.dev/v1alpha1',
          kind: 'GuestWork',
          metadata: { name: `university-${requestId}`, namespace: systemNamespace },
          spec: { peerRef: { name: 'university' }, requestId, request },
        },
        { signal },
      )
    },
    say,
    /** Puts a message into the inbox as the link would. */
    async deliver(guest: GuestWork, kind: 'Renewal' | 'Cancel', body: object): Promise<void> {
      const envelope = await say(kind, { requestId: guest.spec.requestId, ...body })
      const patch = {
        apiVersion: 'hansa.dev/v1alpha1',
        kind: 'GuestWork',
        metadata: ref(guest),
        status: { inbox: [{ kind, sequence: 1, envelope }] },
      }
      await client.applyStatus(guestWorks, patch, { signal, fieldManager: 'hansa-link' })
    },
    /** Opens a message of our outbox as the requester would. */
    async hears<K extends 'Answer' | 'RenewalAsk' | 'Report'>(
      guest: GuestWork,
      kind: K,
    ): Promise<MessageOf<K> | undefined> {
      const letter = (await read(guest)).status?.outbox?.find((each) => each.kind === kind)
      if (letter === undefined) return undefined
      const opened = openMessage(kind, letter.envelope, {
        peer: peerOf(clinic),
        ownBundle: university.bundle,
        now: Date.now(),
      })
      if (!opened.ok) throw new Error(`${kind}: ${opened.problem.message}`)
      return opened.message
    },
    /** Waits until a GuestWork is decided so, and for that reason. */
    decided: (guest: GuestWork, decision: string, reason?: string): Promise<Live<GuestWork>> =>
      eventually(
        `${guest.metadata.name} is ${decision} ${reason ?? ''}`,
        async () => {
          const now = await read(guest)
          const granted = now.status?.conditions?.find(({ type }) => type === 'Granted')
          return now.status?.decision === decision && (reason === undefined || granted?.reason === reason)
            ? now
            : undefined
        },
        60_000,
      ),
    service: (guest: GuestWork): Promise<Live<InferenceService> | undefined> => {
      const { namespace = '', inferenceServiceName: name = '' } = guest.status?.local ?? {}
      return client.get(inferenceServices, { namespace, name }, { signal })
    },
    async apply(...objects: object[]): Promise<void> {
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
      const { code, stderr } = await owner.kubectl(['apply', '-f', '-'], { input })
      if (code !== 0) throw new Error(stderr)
    },
    kubectl: async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await owner.kubectl(args)
      if (code !== 0) throw new Error(stderr)
      return stdout
    },
    /** Ends the controllers and starts new ones, which remember nothing. */
    async restart(): Promise<void> {
      await running.stop()
      running = start(client, clinic)
    },
    async stop(): Promise<void> {
      await running.stop()
      await client.close()
      await owner.stop()
    },
  }
}

function start(client: KubeClient, clinic: TestOwner) {
  const stopping = new AbortController()
  const registry = new Registry()
  const deps = { client, log: testLog, registry }
  const stores = {
    ...startGuestStores(deps, systemNamespace, stopping.signal),
    peers: startReflector(deps, { resource: peers, indexes: { identity: () => [] } }, stopping.signal).store,
    identities: startReflector(deps, { resource: identities }, stopping.signal).store,
    namespaces: startReflector(deps, { resource: namespaces }, stopping.signal).store,
    services: startReflector(deps, { resource: inferenceServices, indexes: { model: () => [] } }, stopping.signal)
      .store,
    models: startReflector(deps, { resource: models }, stopping.signal).store,
    policies: startReflector(deps, { resource: networkPolicies }, stopping.signal).store,
  }
  const events = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: 'test', log: testLog })
  const sealing = async () => ({ bundle: clinic.bundle, signerOf: clinic.signerOf })
  const controllers = startGuests(
    {
      ...deps,
      clock: systemClock,
      events,
      openMessage,
      seal: createSeal({ sealingOf: sealing, clock: systemClock }),
      asks: randomBytes(32).toString('base64url'),
      systemNamespace,
    },
    stores,
    stopping.signal,
  )
  return {
    async stop() {
      await Promise.all(controllers.map((each) => each.stop()))
      stopping.abort()
      await events.close()
    },
  }
}

async function prepare(owner: Owner, client: KubeClient, clinic: TestOwner, university: TestOwner): Promise<void> {
  const { code, stderr } = await owner.kubectl(['apply', '--server-side', '-f', `${repository}/crds`])
  if (code !== 0) throw new Error(stderr)
  await owner.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s'])
  const objects: KubeObject[] = [
    namespace(systemNamespace),
    {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: 'hansa-guest' },
      ...{ value: -1000, preemptionPolicy: 'Never' },
    },
  ]
  const list = { apiVersion: 'v1', kind: 'List', items: objects }
  const made = await owner.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) })
  if (made.code !== 0) throw new Error(made.stderr)
  await withStatus(client, identities, identityOf(clinic))
  const peer = peerOf(university, 'university')
  const time = new Date().toISOString()
  const conditions = ['Verified', 'Recovered'].map((type) => ({
    type,
    status: 'True' as const,
    reason: type === 'Verified' ? 'FingerprintMatches' : 'Confirmed',
    message: '',
    lastTransitionTime: time,
  }))
  await withStatus(client, peers, { ...peer, status: { ...peer.status, incarnation: 1, conditions } })
}

async function withStatus<T extends OwnerIdentity | Peer>(
  client: KubeClient,
  resource: typeof identities | typeof peers,
  object: T,
): Promise<void> {
  const { name } = object.metadata
  const { status, ...rest } = object
  await client.create<KubeObject>(resource, { ...rest, metadata: { name } }, { signal })
  await client.patch<KubeObject>(resource, { name }, { status }, { signal, subresource: 'status' })
}

/** A namespace; for guests with both labels. */
export function namespace(name: string, forGuests = false): KubeObject {
  const labels = { 'hansa.dev/guests': 'true', 'pod-security.kubernetes.io/enforce': 'restricted' }
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...(forGuests && { labels }) } }
}

export type { MessageKind }
