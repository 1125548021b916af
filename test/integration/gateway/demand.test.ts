import { request as httpsRequest, type RequestOptions } from 'node:https'
import { type DemandReport, demandReportSchema } from '@hansa/operator/gateway/demand/demand-report.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { clientTls, spiffe } from '@hansa/operator/identity/tls.ts'
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

function get(options: RequestOptions) {
  return new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const request = httpsRequest(`${rig.gateway.demandUrl}${options.path ?? '/v1/demand'}`, {
      agent: false,
      ...options,
    })
    request.on('response', resolve).on('error', reject)
    request.end()
  })
}
