import { Gauge, type Registry } from 'prom-client'
import { Agent } from 'undici'
import { identityConnector } from '../identity/connector.ts'
import type { Identity } from '../identity/identity.ts'
import { createBackoff } from '../kube/backoff.ts'
import { pods } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import type { Pod } from '../kube/pod-types.ts'
import { startReflector } from '../kube/reflector.ts'
import { messageOf } from '../process/errors.ts'
import type { Logger } from '../process/log.ts'
import type { Demand } from './demand.ts'
import { createDemandHistory } from './demand-history.ts'
import { demandPort, readReports } from './gateway-stream.ts'

export const gatewaySelector = 'app.kubernetes.io/name=hansa,app.kubernetes.io/component=gateway'
const staleSeconds = 5
// A stream carries the certificate that it was opened with, so it is opened anew long before that expires.
const longestStreamMilliseconds = 3_600_000

export type FollowGatewaysDeps = {
  client: KubeClient
  identity: Identity
  /** The gateways' URI SAN. */
  gatewayUri: string
  /** Where gateways are. */
  namespace: string
  clock: Clock
  random: () => number
  log: Logger
  registry: Registry
  /** Default: port 8445 of the pod's address. */
  originOf?: (podIP: string) => string
}

export type FollowedDemand = Demand & {
  /** Keys of services that have requests under way or held. */
  busy(): Set<string>
  /** Calls back after each report; returns the way to stop. */
  onReport(listener: () => void): () => void
  close(): Promise<void>
}

type Follower = { stop: AbortController; name: string; ip: string; stale: boolean }

/** Follows every gateway that runs, until the signal or `close` ends it, and sums what they report. */
export function followGateways(deps: FollowGatewaysDeps, signal: AbortSignal): FollowedDemand {
  const { clock, log, random } = deps
  const originOf = deps.originOf ?? ((ip: string) => `https://${ip.includes(':') ? `[${ip}]` : ip}:${demandPort}`)
  const stopping = new AbortController()
  const ended = AbortSignal.any([signal, stopping.signal])
  const seconds = () => clock.monotonic() / 1_000
  const history = createDemandHistory(seconds())
  const agent = new Agent({ connect: identityConnector(deps.identity, deps.gatewayUri), connections: 1, pipelining: 1 })
  const listeners = new Set<() => void>()
  const followers = new Map<string, Follower>()
  const reflector = startReflector(
    { client: deps.client, log, clock, random, registry: deps.registry },
    { resource: pods, namespace: deps.namespace, labelSelector: gatewaySelector },
    ended,
  )
  const { store } = reflector

  async function follow(uid: string, { metadata }: Pod, ip: string, stop: AbortSignal): Promise<void> {
    const backoff = createBackoff(200, 5_000, random)
    const gatewayLog = log.child({ gateway: metadata.name })
    while (!stop.aborted) {
      const renew = new AbortController()
      const cancel = clock.after(longestStreamMilliseconds * (0.5 + 0.5 * random()), () => renew.abort())
      try {
        await readReports(
          originOf(ip),
          agent,
          (report) => {
            history.report(uid, report, seconds())
            backoff.reset()
            for (const listener of listeners) listener()
          },
          AbortSignal.any([stop, renew.signal]),
        )
      } catch (thrown) {
        if (!stop.aborted && !renew.signal.aborted) gatewayLog.debug({ error: messageOf(thrown) }, 'lost a gateway')
      } finally {
        cancel()
      }
      await sleep(clock, backoff.next(), stop)
    }
  }

  function look(pod: Pod): void {
    const { uid = '', name } = pod.metadata
    const ip = pod.status?.podIP
    const known = followers.get(uid)
    if (isOver(pod) || (known !== undefined && known.ip !== ip)) forget(uid)
    if (ip === undefined || pod.status?.phase !== 'Running' || followers.has(uid)) return
    const stop = new AbortController()
    followers.set(uid, { stop, name, ip, stale: false })
    void follow(uid, pod, ip, AbortSignal.any([ended, stop.signal]))
  }

  function forget(uid: string): void {
    followers.get(uid)?.stop.abort()
    followers.delete(uid)
    history.forget(uid, seconds())
  }

  /** Seconds since the gateway reported; undefined when it did not yet. */
  function ageOf(uid: string): number | undefined {
    const reportedAt = history.reportedAt(uid)
    return reportedAt === undefined ? undefined : seconds() - reportedAt
  }

  /** Whether users may reach it: it has reported, or its process is up. */
  const counts = (pod: Pod) =>
    !isOver(pod) &&
    (history.reportedAt(pod.metadata.uid ?? '') !== undefined ||
      (pod.status?.containerStatuses ?? []).some(({ started }) => started === true))

  /** Says once when a gateway falls silent, and once when it is heard again. */
  function watchSilence(): void {
    for (const [uid, follower] of followers) {
      const stale = (ageOf(uid) ?? 0) > staleSeconds
      if (stale === follower.stale) continue
      follower.stale = stale
      const facts = { gateway: follower.name }
      if (stale) log.warn(facts, 'a gateway reports no more; no worker is removed until it does, or is gone')
      else log.info(facts, 'the gateway reports again')
    }
  }

  async function tick(): Promise<void> {
    while (!ended.aborted) {
      await sleep(clock, 1_000, ended)
      watchSilence()
    }
  }

  for (const pod of store.list()) look(pod)
  const unsubscribe = store.subscribe(({ previous, current }) => {
    if (previous !== undefined && previous.metadata.uid !== current?.metadata.uid) forget(previous.metadata.uid)
    if (current !== undefined) look(current)
  })
  const ticking = tick()
  measureAges(deps.registry, ended, () =>
    [...followers].map(([uid, { name }]) => ({ gateway: name, age: ageOf(uid) ?? Number.POSITIVE_INFINITY })),
  )

  return {
    isComplete(span) {
      if (!store.isSynced()) return false
      const gateways = store.list().filter(counts)
      // Without any gateway there would be no traffic either, but it is likelier that they cannot be seen.
      if (gateways.length === 0) return false
      const heard = gateways.every(({ metadata }) => (ageOf(metadata.uid) ?? Number.POSITIVE_INFINITY) <= staleSeconds)
      return heard && history.knownSeconds(seconds()) >= span
    },
    window: (key, span) => history.window(key, span, seconds()),
    now: history.now,
    quietSeconds: (key) => history.quietSeconds(key, seconds()),
    busy: history.busy,
    onReport(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      stopping.abort()
      unsubscribe()
      for (const { stop } of followers.values()) stop.abort()
      await reflector.stop()
      await ticking
      await agent.destroy()
    },
  }
}

function isOver({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/** Registers the age of each gateway's report, for as long as the signal lasts. */
export function measureAges(
  registry: Registry,
  signal: AbortSignal,
  ages: () => { gateway: string; age: number }[],
): void {
  const name = 'hansa_operator_gateway_report_age_seconds'
  registry.registerMetric(
    new Gauge({
      name,
      help: 'Seconds since a gateway last reported its demand.',
      labelNames: ['gateway'],
      registers: [],
      collect() {
        this.reset()
        for (const { gateway, age } of ages()) this.set({ gateway }, age)
      },
    }),
  )
  // Only the leader follows gateways; what it knew must not stay when it leads no more.
  const remove = () => registry.removeSingleMetric(name)
  if (signal.aborted) remove()
  else signal.addEventListener('abort', remove, { once: true })
}
