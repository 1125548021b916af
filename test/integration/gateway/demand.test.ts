import { once } from 'node:events'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { type DemandReport, demandReportSchema } from '@hansa/operator/gateway/demand/demand-report.ts'
import { RouteDemand } from '@hansa/operator/gateway/demand/route-demand.ts'
import { serveDemand } from '@hansa/operator/gateway/demand/serve-demand.ts'
import type { RouteSpec } from '@hansa/operator/gateway/route/route-spec.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { clientTls, spiffe } from '@hansa/operator/identity/tls.ts'
import { systemClock } from '@hansa/operator/kube/clock.ts'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, inferenceService, type Rig, startRig, trustDomain } from './gateway-under-test.ts'

const path = '/apps/digits/v2/models/digits/infer'
const post = { method: 'POST', body: 'x' } as const
let rig: Rig
let streams: { close(): void }[] = []

beforeEach(async () => {
  streams = []
  rig = await startRig({ services: [inferenceService('digits'), inferenceService('idle')] })
})
afterEach(async () => {
  for (const stream of streams) stream.close()
  await rig.stop()
})

test('the operator reads reports that only grow: at once, then every second', async () => {
  const worker = await rig.addWorker()
  const { reports } = await follow('hansa-operator')
  await eventually(() => expect(reports).toHaveLength(1))
  expect(reports[0]?.services).toEqual([])
  for (let i = 0; i < 3; i += 1) expect(await rig.call(path, post)).toMatchObject({ status: 200 })
  expect(await rig.call('/apps/digits/v2/health/ready')).toMatchObject({ status: 200 })
  let finish = () => {}
  worker.handle = (request, response) => {
    request.resume()
    finish = () => response.writeHead(500).end()
  }
  const pending = rig.call(path, post)
  await eventually(() => expect(reports.at(-1)?.services[0]).toMatchObject({ inFlight: 1, held: 0, arrivals: 5 }))
  await eventually(() => expect(reports.at(-1)?.services[0]?.inFlightSeconds).toBeGreaterThan(1))
  finish()
  expect(await pending).toMatchObject({ status: 500 })
  await eventually(() => expect(reports.at(-1)?.services[0]).toMatchObject({ inFlight: 0, arrivals: 5 }))
  const [service, ...others] = reports.at(-1)?.services ?? []
  expect(others).toEqual([])
  // Probes say nothing of how well a revision serves.
  expect(service?.revisions).toMatchObject([{ revision: 'r1', requests: 4, failures: 1, mirrored: 0, disagreed: 0 }])
  expect(service?.revisions[0]?.latencyCounts.reduce((sum, count) => sum + count, 0)).toBe(3)
  expect(new Set(reports.map(({ instance }) => instance)).size).toBe(1)
  const seconds = reports.map(({ elapsedSeconds }) => elapsedSeconds)
  expect(seconds).toEqual(seconds.toSorted((a, b) => a - b))
})

test('nobody else reads it: other identities get 403, strangers no handshake', async () => {
  for (const [namespace, name] of [
    ['hansa-system', 'hansa-gateway'],
    ['apps', 'hansa-operator'],
    ['apps', 'digits-worker'],
  ] as const) {
    expect((await follow(name, namespace)).status).toBe(403)
  }
  const gatewayUri = spiffe(trustDomain, 'hansa-system', 'hansa-gateway')
  const operator = await memoryIdentity(rig.authority, spiffe(trustDomain, 'hansa-system', 'hansa-operator'))
  const { key: _key, cert: _cert, ...anonymous } = clientTls(operator, gatewayUri)
  await expect(get(anonymous)).rejects.toThrow()
  expect((await get({ ...clientTls(operator, gatewayUri), path: '/metrics' })).statusCode).toBe(404)
  expect((await get({ ...clientTls(operator, gatewayUri), method: 'POST' })).statusCode).toBe(405)
})

test('that a request waits is told at once, and its service counts on when it is made anew', async () => {
  const sleeping = inferenceService('idle', 'apps', { scaling: { minReplicas: 0 } })
  rig.cluster.services = [sleeping]
  rig.cluster.changed()
  const { reports } = await follow('hansa-operator')
  await eventually(async () => expect(await rig.registry.metrics()).toContain('hansa_gateway_held{'))
  let told = 0
  for (let i = 1; i <= 5; i += 1) {
    const began = performance.now()
    const abort = new AbortController()
    const call = rig.call('/apps/idle/v2/models/idle/infer', { ...post, signal: abort.signal })
    await eventually(() => expect(reports.at(-1)?.services[0]).toMatchObject({ held: 1, inFlight: 0, arrivals: i }))
    if (performance.now() - began < 500) told += 1
    abort.abort()
    await expect(call).rejects.toThrow()
    await eventually(() => expect(reports.at(-1)?.services[0]).toMatchObject({ held: 0, inFlight: 0 }))
  }
  // A report a second alone would have told of half of them within that time.
  expect(told).toBe(5)
  rig.cluster.services = []
  rig.cluster.changed()
  await eventually(() => expect(reports.at(-1)?.services).toEqual([]))
  rig.cluster.services = [sleeping]
  rig.cluster.changed()
  await eventually(() => expect(reports.at(-1)?.services[0]).toMatchObject({ service: 'idle', arrivals: 5 }))
})

test('a reader that takes nothing is cut off', async () => {
  const identity = await memoryIdentity(rig.authority, spiffe(trustDomain, 'hansa-system', 'hansa-gateway'))
  const operatorUri = spiffe(trustDomain, 'hansa-system', 'hansa-operator')
  const routes = Array.from({ length: 3000 }, (_, i) => {
    const demand = new RouteDemand()
    demand.enter(0)
    for (let revision = 0; revision < 8; revision += 1) demand.revision(`r${revision}`, 0).answered(1, 0)
    return { demand, spec: { namespace: 'apps', service: `service-${i}` } as RouteSpec }
  })
  const warnings: string[] = []
  const server = await serveDemand({
    host: '127.0.0.1',
    port: 0,
    identity,
    operatorUri,
    routes: () => routes,
    instance: 'test',
    clock: systemClock,
    log: pino({ level: 'warn', messageKey: 'message' }, { write: (line: string) => warnings.push(line) }),
  })
  try {
    const options = clientTls(await memoryIdentity(rig.authority, operatorUri), identity.uri)
    const response = await get(options, server.url)
    response.on('error', () => undefined)
    const closed = once(response.socket, 'close')
    await eventually(() => expect(warnings.join()).toContain('takes nothing'), 20)
    response.resume()
    await closed
    const reading = await get(options, server.url)
    let bytes = 0
    reading
      .on('error', () => undefined)
      .on('data', (chunk) => {
        bytes += chunk.length
      })
    await eventually(() => expect(bytes).toBeGreaterThan(10_000_000), 20)
    reading.destroy()
  } finally {
    await server.close()
  }
}, 40_000)

test('there are never more than eight readers', async () => {
  for (let i = 0; i < 8; i += 1) expect((await follow('hansa-operator')).status).toBe(200)
  expect((await follow('hansa-operator')).status).toBe(429)
  streams.shift()?.close()
  await eventually(async () => expect((await follow('hansa-operator')).status).toBe(200))
})

async function follow(name: string, namespace = 'hansa-system') {
  const identity = await memoryIdentity(rig.authority, spiffe(trustDomain, namespace, name))
  const response = await get(clientTls(identity, spiffe(trustDomain, 'hansa-system', 'hansa-gateway')))
  streams.push({ close: () => response.destroy() })
  const reports: DemandReport[] = []
  let rest = ''
  response.setEncoding('utf8')
  response.on('error', () => undefined)
  response.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (response.statusCode === 200) reports.push(...lines.map((line) => demandReportSchema.parse(JSON.parse(line))))
  })
  return { status: response.statusCode, reports }
}

function get(options: RequestOptions, url = rig.gateway.demandUrl) {
  return new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const request = httpsRequest(`${url}${options.path ?? '/v1/demand'}`, {
      agent: false,
      ...options,
    })
    request.on('response', resolve).on('error', reject)
    request.end()
  })
}
