import { randomBytes } from 'node:crypto'
import type { Registry } from 'prom-client'
import { reconcileAccessKey } from '../accesskey/controller.ts'
import { followGateways } from '../demand/follow-gateways.ts'
import { openMessage } from '../federation/open-message.ts'
import { startGuests } from '../guestwork/start.ts'
import type { Identity } from '../identity/identity.ts'
import { spiffe } from '../identity/spiffe.ts'
import { reconcileInferenceService } from '../inferenceservice/controller.ts'
import { fieldManager } from '../inferenceservice/names.ts'
import type { WorkerSettings } from '../inferenceservice/settings.ts'
import { createApplier } from '../kube/apply-if-changed.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Clock, systemClock } from '../kube/clock.ts'
import { source, startController } from '../kube/controller.ts'
import { createEventRecorder } from '../kube/events.ts'
import { models as modelResource } from '../kube/hansa-resources.ts'
import { keyOf, refOf } from '../kube/resource.ts'
import { modelOfPod, reconcileModel } from '../model/controller.ts'
import { createFetchClient, type FetchState } from '../model/fetch-client.ts'
import { startFetchStates } from '../model/fetch-states.ts'
import { reconcileOwnerIdentity } from '../owneridentity/controller.ts'
import { secretKeyStore } from '../owneridentity/key-store.ts'
import { secretRootKeys } from '../owneridentity/root-keys.ts'
import { startPeerController } from '../peer/start.ts'
import type { Logger } from '../process/log.ts'
import { rolloutCounter } from '../rollout/metrics.ts'
import { startScaler } from '../scaling/scaler.ts'
import { countKinds } from './kind-metrics.ts'
import { ownerSeal } from './owner-seal.ts'
import { startRequester } from './requester.ts'
import { ownerOf, serviceOf, startStores } from './stores.ts'

export type ControllersDeps = {
  client: KubeClient
  identity: Identity
  settings: WorkerSettings
  instance: string
  concurrency: number
  log: Logger
  registry: Registry
  clock?: Clock
}

/** Runs all controllers until the signal is aborted, and resolves when the last reconcile has ended. */
export async function runControllers(deps: ControllersDeps, signal: AbortSignal): Promise<void> {
  const { client, settings, log, registry, concurrency, clock = systemClock } = deps
  const stores = startStores({ client, log, registry, systemNamespace: settings.systemNamespace }, signal)
  countKinds(registry, stores, signal)
  const events = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: deps.instance, log })
  const fetch = createFetchClient({
    url: settings.fetchUrl,
    uri: spiffe(settings.trustDomain, settings.systemNamespace, 'hansa-fetch'),
    identity: deps.identity,
  })
  const exists = async ({ namespace, name, uid }: FetchState, stop: AbortSignal) =>
    (await client.get(modelResource, { namespace, name }, { signal: stop }))?.metadata.uid === uid
  const states = startFetchStates({ client: fetch, models: stores.models, exists, clock, log }, signal)
  const own = (object: Parameters<typeof refOf>[0]) => [keyOf(refOf(object))]

  const modelDeps = { ...stores, events, clock, settings, fetch, states, applier: createApplier(client, 'hansa-model') }
  const models = startController(
    { log, registry, clock },
    {
      name: 'model',
      sources: [
        source(stores.models, own),
        source(stores.jobs, ownerOf('Model')),
        source(stores.pods, modelOfPod),
        states.source,
      ],
      reconcile: (key, context) => reconcileModel(key, context, modelDeps),
      concurrency,
    },
    signal,
  )

  const demand = followGateways(
    {
      client,
      identity: deps.identity,
      gatewayUri: spiffe(settings.trustDomain, settings.systemNamespace, 'hansa-gateway'),
      namespace: settings.systemNamespace,
      clock,
      random: Math.random,
      log,
      registry,
    },
    signal,
  )
  const scaler = startScaler({ ...stores, demand, clock, registry }, signal)
  const serviceDeps = {
    ...stores,
    client,
    scaler,
    events,
    clock,
    settings,
    applier: createApplier(client, fieldManager),
    demand,
    rollouts: rolloutCounter(registry, signal),
  }
  const services = startController(
    { log, registry, clock },
    {
      name: 'inferenceservice',
      sources: [
        source(stores.services, own),
        source(stores.models, (model) =>
          stores.services.byIndex('model', keyOf(refOf(model))).map((each) => keyOf(refOf(each))),
        ),
        source(stores.accounts, ownerOf('InferenceService')),
        source(stores.policies, ownerOf('InferenceService')),
        source(stores.deployments, ownerOf('InferenceService')),
        source(stores.pods, serviceOf),
        scaler.source,
      ],
      reconcile: (key, context) => reconcileInferenceService(key, context, serviceDeps),
      concurrency,
    },
    signal,
  )

  const keyDeps = { ...stores, events, clock, applier: createApplier(client, 'hansa-accesskey') }
  const keys = startController(
    { log, registry, clock },
    {
      name: 'accesskey',
      sources: [
        source(stores.keys, own),
        source(stores.services, (service) =>
          stores.keys.byIndex('service', keyOf(refOf(service))).map((each) => keyOf(refOf(each))),
        ),
      ],
      reconcile: (key, context) => reconcileAccessKey(key, context, keyDeps),
      concurrency: 2,
    },
    signal,
  )

  const identityDeps = {
    ...stores,
    events,
    clock,
    applier: createApplier(client, 'hansa-identity'),
    keyStore: secretKeyStore({ client, namespace: settings.systemNamespace }),
    rootKeys: secretRootKeys,
  }
  const identities = startController(
    { log, registry, clock },
    {
      name: 'identity',
      sources: [source(stores.identities, own)],
      reconcile: (key, context) => reconcileOwnerIdentity(key, context, identityDeps),
      // All keys lie in one Secret.
      concurrency: 1,
    },
    signal,
  )

  // Owners tell one another by these signed messages; a new start has a new question, whose answers show what peers saw of us.
  const { systemNamespace } = settings
  const seal = ownerSeal({ client, namespace: systemNamespace, clock })
  const asks = randomBytes(32).toString('base64url')
  const peers = startPeerController(
    { ...stores, client, log, registry, clock, events, seal, openMessage, asks, systemNamespace },
    signal,
  )

  const requester = startRequester(
    {
      client,
      stores,
      events,
      seal,
      openMessage,
      systemNamespace,
      settings,
      concurrency,
      clock,
      log,
      registry,
    },
    signal,
  )

  const guests = startGuests(
    { client, log, registry, clock, events, seal, openMessage, asks, systemNamespace },
    stores,
    signal,
  )

  await new Promise<void>((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
  await Promise.all([models.stop(), services.stop(), keys.stop(), identities.stop(), peers.stop(), requester.stop()])
  await Promise.all(guests.map((each) => each.stop()))
  await demand.close()
  await events.close()
  await fetch.close()
}
