import { randomBytes } from 'node:crypto'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { createSeal, type Sealing } from '@hansa/operator/federation/seal-message.ts'
import { startGuests } from '@hansa/operator/guestwork/start.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { type Clock, systemClock } from '@hansa/operator/kube/clock.ts'
import { createEventRecorder } from '@hansa/operator/kube/events.ts'
import { startRequester } from '@hansa/operator/operator/requester.ts'
import { startStores } from '@hansa/operator/operator/stores.ts'
import { startPeerController } from '@hansa/operator/peer/start.ts'
import { Registry } from 'prom-client'
import { workerSettings } from '../../../builders/worker-settings.ts'
import { testLog as log } from '../../../integration/kube/harness.ts'
import { systemNamespace } from './names.ts'

/** What a mutant changes of an operator. */
export type OperatorChange = { asks?: string; clock?: Clock }

/** The controllers of sharing of one owner as `runControllers` starts them; what they remember goes with `stop`. */
export function startSharing(
  client: KubeClient,
  sealingOf: (identityName: string) => Sealing,
  { asks = randomBytes(32).toString('base64url'), clock = systemClock }: OperatorChange = {},
): { stop(): Promise<void> } {
  const stopping = new AbortController()
  const { signal } = stopping
  const registry = new Registry()
  const stores = startStores({ client, log, registry, systemNamespace }, signal)
  const events = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: 'test', log })
  const seal = createSeal({ clock, sealingOf: async (name) => sealingOf(name) })
  const deps = { client, log, registry, clock, events, seal, openMessage, systemNamespace }
  const controllers = [
    startPeerController({ ...deps, ...stores, asks }, signal),
    startRequester({ ...deps, stores, settings: workerSettings, concurrency: 4 }, signal),
    ...startGuests({ ...deps, asks }, stores, signal),
  ]
  return {
    async stop() {
      stopping.abort()
      await Promise.all(controllers.map((each) => each.stop()))
      await events.close()
    },
  }
}
