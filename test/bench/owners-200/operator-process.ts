import { readFile } from 'node:fs/promises'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { createEventRecorder } from '@hansa/operator/kube/events.ts'
import { startRequester } from '@hansa/operator/operator/requester.ts'
import { startStores } from '@hansa/operator/operator/stores.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { identityOf, testOwner } from '../../builders/federation.ts'
import { sealOf } from '../../builders/scripted-peer.ts'
import { workerSettings } from '../../builders/worker-settings.ts'
import { answerCalls } from '../../tools/process-calls.ts'
import { type Api, clientOf } from './client-of.ts'

// The asking side of an operator, alone in its process: stores, placement, requests and their leases.
const { signal } = new AbortController()
const log = createLogger('operator', process.env.HANSA_LOG_LEVEL ?? 'silent')
const us = await testOwner('clinic')
const registry = new Registry()

answerCalls({
  /** What others must know of us. */
  identity: () => ({ identity: identityOf(us), bundle: us.bundle, envelope: us.envelope, rootKey: us.root.publicKey }),
  start: async ({ api, systemNamespace }: { api: Api; systemNamespace: string }) => {
    const client = await clientOf(api, 'hansa-operator')
    const stores = startStores({ client, log, registry, systemNamespace }, signal)
    const events = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: 'bench', log })
    const clock = systemClock
    const common = { client, stores, events, clock, log, registry, systemNamespace, openMessage }
    startRequester({ ...common, settings: workerSettings, seal: sealOf(us, clock), concurrency: 8 }, signal)
  },
  /** Bytes, and seconds of CPU. */
  usage: async () => {
    const status = await readFile('/proc/self/status', 'utf8')
    const { user, system } = process.cpuUsage()
    const bytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024
    return { peak: bytes('VmHWM'), now: bytes('VmRSS'), cpuSeconds: (user + system) / 1e6 }
  },
  metrics: () => registry.metrics(),
})
