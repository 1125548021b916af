import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Registry } from 'prom-client'
import { afterEach, expect, test, vi } from 'vitest'
import type { DemandReport } from '../gateway/demand/demand-report.ts'
import { createAuthority } from '../identity/authority.ts'
import { memoryIdentity } from '../identity/memory-identity.ts'
import { spiffe } from '../identity/spiffe.ts'
import { serverTls } from '../identity/tls.ts'
import type { KubeClient, WatchEvent, WatchOptions } from '../kube/client-types.ts'
import { type Clock, systemClock } from '../kube/clock.ts'
import type { Pod } from '../kube/pod-types.ts'
import type { Live } from '../kube/resource.ts'
import { createLogger } from '../process/log.ts'
import { followGateways } from './follow-gateways.ts'

const authority = await createAuthority({ trustDomain: 'city.hansa' })
const gatewayUri = spiffe('city.hansa', 'hansa', 'hansa-gateway')
const operator = await memoryIdentity(authority, spiffe('city.hansa', 'hansa', 'hansa-operator'))
const gateway = await memoryIdentity(authority, gatewayUri)
const stranger = await memoryIdentity(authority, spiffe('city.hansa', 'other', 'hansa-gateway'))
const key = 'default/chat'
const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A gateway's internal port: each call gets the lines that `say` writes. */
async function startGateway(
  options: { identity?: typeof gateway; onCall?: (call: number) => string | undefined } = {},
) {
  const readers = new Set<ServerResponse>()
  let calls = 0
  const server = createServer(serverTls(options.identity ?? gateway), (request, response) => {
    expect(request.url).toBe('/v1/demand')
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.flushHeaders()
    const first = options.onCall?.(++calls)
    if (first !== undefined) response.write(first)
    readers.add(response)
    response.on('close', () => readers.delete(response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  undo.push(() => {
    server.close()
    server.closeAllConnections()
  })
  // listen with a port always gives an AddressInfo; the string form is for pipes.
  const { port } = server.address() as AddressInfo
  return {
    origin: `https://127.0.0.1:${port}`,
    get calls() {
      return calls
    },
    get readers() {
      return readers.size
    },
    say: (report: DemandReport) => {
      for (const reader of readers) reader.write(`${JSON.stringify(report)}\n`)
    },
  }
}

function report(elapsedSeconds: number, arrivals: number, inFlight = 0, held = 0): DemandReport {
  const service = { namespace: 'default', service: 'chat', inFlight, held, arrivals, inFlightSeconds: arrivals }
  return { instance: 'i', elapsedSeconds, services: [{ ...service, revisions: [] }] }
}

function pod(name: string, started = true, phase = 'Running'): Live<Pod> {
  const statuses = [{ name: 'gateway', ready: started, started, restartCount: 0 }]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'hansa', uid: name, resourceVersion: '1' },
    spec: { containers: [] },
    status: { phase, podIP: name, containerStatuses: statuses },
  } as Live<Pod>
}

/** Follows the pods, whose addresses are their names, at the origins given by name; time can be moved on. */
function follow(origins: Record<string, string>, ...pods: Live<Pod>[]) {
  let skipped = 0
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skipped }
  const changes: WatchEvent<Pod>[] = []
  let changed = Promise.withResolvers<void>()
  // The reflector uses no other method.
  const client = {
    cluster: 'test',
    list: async () => ({ resourceVersion: '1', items: pods }),
    async *watch(_: unknown, { signal }: WatchOptions) {
      while (!signal.aborted) {
        for (const change of changes.splice(0)) yield change
        const gone = new Promise<never>((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        )
        await Promise.race([changed.promise, gone])
        changed = Promise.withResolvers()
      }
    },
  } as unknown as KubeClient
  const registry = new Registry()
  const demand = followGateways(
    {
      client,
      identity: operator,
      gatewayUri,
      namespace: 'hansa',
      clock,
      random: () => 0,
      log: createLogger('test', 'silent'),
      registry,
      originOf: (name) => origins[name] ?? 'https://127.0.0.1:1',
    },
    new AbortController().signal,
  )
  undo.push(() => demand.close())
  return {
    demand,
    registry,
    skip: (seconds: number) => {
      skipped += seconds * 1_000
    },
    change: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: Live<Pod>) => {
      changes.push({ type, object: { ...object, metadata: { ...object.metadata, resourceVersion: '2' } } })
      changed.resolve()
    },
  }
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 20 })

test('what all gateways report is summed, and complete once each that is up has reported', async () => {
  const [a, b] = [await startGateway(), await startGateway()]
  const { demand } = follow(
    { a: a.origin, b: b.origin },
    pod('a'),
    pod('b'),
    pod('starting', false),
    pod('over', true, 'Failed'),
  )
  await until(() => expect([a.readers, b.readers]).toEqual([1, 1]))
  a.say(report(100, 10, 2))
  await until(() => expect(demand.now(key)).toEqual({ inFlight: 2, held: 0 }))
  expect(demand.isComplete(0)).toBe(false)
  let heard = 0
  demand.onReport(() => heard++)
  b.say(report(100, 5, 1, 4))
  await until(() => expect(heard).toBe(1))
  expect(demand.now(key)).toEqual({ inFlight: 3, held: 4 })
  expect([...demand.busy()]).toEqual([key])
  expect(demand.isComplete(0)).toBe(true)
  expect(demand.isComplete(3)).toBe(false)
})

test('a gateway that falls silent makes the demand incomplete until it reports again, or its pod is gone', async () => {
  const [a, b] = [await startGateway(), await startGateway()]
  const { demand, skip, change, registry } = follow({ a: a.origin, b: b.origin }, pod('a'), pod('b'))
  await until(() => expect([a.readers, b.readers]).toEqual([1, 1]))
  a.say(report(100, 1))
  b.say(report(100, 1))
  await until(() => expect(demand.isComplete(0)).toBe(true))
  skip(6)
  a.say(report(106, 1))
  await until(() => expect(demand.window(key, 60)?.seconds).toBeGreaterThanOrEqual(0))
  expect(demand.isComplete(0)).toBe(false)
  expect(await registry.metrics()).toMatch(/report_age_seconds\{gateway="b"\} [6-9]/)
  b.say(report(106, 1))
  await until(() => expect(demand.isComplete(5)).toBe(true))
  skip(6)
  a.say(report(112, 1))
  change('DELETED', pod('b'))
  await until(() => expect(demand.isComplete(0)).toBe(true))
  // What the one that went had seen last nobody knows.
  expect(demand.isComplete(5)).toBe(false)
  expect(await registry.metrics()).not.toContain('gateway="b"')
})

test('without any gateway nothing is known', async () => {
  const { demand, change } = follow({}, pod('starting', false))
  expect(demand.isComplete(0)).toBe(false)
  change('DELETED', pod('starting', false))
  expect(demand.isComplete(0)).toBe(false)
  expect(demand.window(key, 60)).toBeUndefined()
})

test('a peer that is not the gateway, and lines that do not fit, are given up and tried again', async () => {
  const other = await startGateway({ identity: stranger, onCall: () => `${JSON.stringify(report(1, 99))}\n` })
  const bad = [
    '{"instance":',
    JSON.stringify({ ...report(1, 1), elapsedSeconds: -1 }),
    JSON.stringify(report(50, 7, 1)),
  ]
  const flaky = await startGateway({ onCall: (call) => `${bad[Math.min(call, bad.length) - 1]}\n` })
  const { demand } = follow({ a: other.origin, b: flaky.origin }, pod('a'), pod('b'))
  await until(() => expect(demand.now(key)).toEqual({ inFlight: 1, held: 0 }))
  expect(flaky.calls).toBe(3)
  expect(other.calls).toBe(0)
  expect(demand.isComplete(0)).toBe(false)
})

test('an endless line ends the connection', async () => {
  const endless = await startGateway({ onCall: (call) => (call === 1 ? 'x'.repeat(33 * 1024 * 1024) : undefined) })
  const { demand } = follow({ a: endless.origin }, pod('a'))
  await until(() => expect(endless.calls).toBeGreaterThan(1))
  expect(demand.isComplete(0)).toBe(false)
})
