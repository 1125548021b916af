import type { Registry } from 'prom-client'
import { createApplier } from '../kube/apply-if-changed.ts'
import type { KubeClient } from '../kube/client-types.ts'
import type { Clock } from '../kube/clock.ts'
import { type Source, source, startController } from '../kube/controller.ts'
import type { EventRecorder } from '../kube/events.ts'
import { keyOf, refOf } from '../kube/resource.ts'
import type { Stores } from '../operator/stores.ts'
import type { Logger } from '../process/log.ts'
import { isJudged, layersManager, reconcileLayers } from './controller.ts'
import { judgedIndex } from './judged-index.ts'

/** Runs the controller of the condition Decentralized. It has a field manager of its own, so nobody else's status is touched. */
export function startLayers(
  deps: { client: KubeClient; events: EventRecorder; clock: Clock; log: Logger; registry: Registry },
  stores: Pick<Stores, 'services' | 'models' | 'peers' | 'identities'>,
  signal: AbortSignal,
): { stop(): Promise<void> } {
  const { client, log, registry, clock } = deps
  const all = () => stores.services.byIndex('judged', judgedIndex).map((each) => keyOf(refOf(each)))
  const layersDeps = { ...deps, ...stores, applier: createApplier(client, layersManager) }
  return startController(
    { log, registry, clock },
    {
      name: 'layers',
      sources: [
        source(stores.services, (service) => (isJudged(service) ? [keyOf(refOf(service))] : [])),
        source(stores.models, (model) =>
          stores.services
            .byIndex('model', keyOf(refOf(model)))
            .filter(isJudged)
            .map((each) => keyOf(refOf(each))),
        ),
        source(stores.peers, all),
        source(stores.identities, all),
      ] satisfies Source[],
      reconcile: (key, context) => reconcileLayers(key, context, layersDeps),
      concurrency: 2,
    },
    signal,
  )
}
