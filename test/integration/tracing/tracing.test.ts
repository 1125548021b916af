import { createLogger } from '@hansa/operator/process/log.ts'
import { startTracing } from '@hansa/operator/process/tracing.ts'
import { Registry } from 'prom-client'
import { afterEach, expect, test } from 'vitest'
import { rowsModel } from '../../builders/onnx-model.ts'
import { eventually, startRig } from '../gateway/gateway-under-test.ts'
import { inferJson, outputs } from '../serve/client.ts'
import { startWorker } from '../serve/worker.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './otlp-receiver.ts'

const log = createLogger('test', 'silent')
const traceId = '0af7651916cd43dd8448eb211c80319c'
const callerSpan = 'b7ad6b7169203331'
const recorded = { traceparent: `00-${traceId}-${callerSpan}-01` }
const infer = '/apps/digits/v2/models/digits/infer'
const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function receiver(): Promise<OtlpReceiver> {
  const started = await startOtlpReceiver()
  closing.push(started.close)
  return started
}

async function gateway(endpoint: string, traceSample: number) {
  const registry = new Registry()
  const options = {
    endpoint: `${endpoint}/v1/traces`,
    service: 'hansa-gateway',
    instance: 'gw-0',
    namespace: 'hansa-system',
  }
  const tracing = await startTracing(options, { log, registry })
  const rig = await startRig({ tracing, settings: { traceSample } })
  closing.push(async () => {
    await rig.stop()
    await tracing.close()
  })
  return { rig, registry }
}

const spanCalled = async (from: OtlpReceiver, name: string): Promise<ReceivedSpan> =>
  await eventually(() => {
    const span = from.spans.find((one) => one.name === name)
    if (span === undefined) throw new Error(`no span ${name} yet`)
    return span
  })

test('a recorded request gives a span, its attempt one below, and the worker is told of the attempt', async () => {
  const to = await receiver()
  const { rig } = await gateway(to.url, 0)
  const worker = await rig.addWorker()
  const answer = await rig.call(infer, {
    method: 'POST',
    body: 'secret payload',
    headers: { ...recorded, 'content-type': 'text/plain' },
  })
  expect(answer.status).toBe(200)
  const request = await spanCalled(to, 'request')
  const attempt = await spanCalled(to, 'attempt')
  expect(request).toMatchObject({
    service: 'hansa-gateway',
    kind: 'SPAN_KIND_SERVER',
    traceId,
    parentSpanId: callerSpan,
    failed: false,
    attributes: {
      'hansa.namespace': 'apps',
      'hansa.service': 'digits',
      'http.response.status_code': 200,
      'hansa.attempts': 1,
      'hansa.revision': 'r1',
    },
  })
  expect(attempt).toMatchObject({ kind: 'SPAN_KIND_CLIENT', traceId, parentSpanId: request.spanId, failed: false })
  expect(worker.requests[0]?.headers.traceparent).toBe(`00-${traceId}-${attempt.spanId}-01`)
  expect(request.milliseconds).toBeGreaterThanOrEqual(attempt.milliseconds)
  const sent = Buffer.concat(to.bodies).toString('latin1')
  for (const hidden of ['secret payload', '/v2/models', 'Bearer', 'caller']) expect(sent).not.toContain(hidden)
})

test('each attempt with a worker that fails is a span of its own', async () => {
  const to = await receiver()
  const { rig } = await gateway(to.url, 1)
  const dead = await rig.addWorker()
  await rig.addWorker()
  await dead.kill()
  for (let call = 0; call < 20 && !to.spans.some(({ failed }) => failed); call++) {
    expect((await rig.call('/apps/digits/v2')).status).toBe(200)
    await rig.call(infer, { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } })
    await spanCalled(to, 'attempt')
  }
  const failed = await eventually(() => {
    const span = to.spans.find((one) => one.name === 'attempt' && one.failed)
    if (span === undefined) throw new Error('no failed attempt yet')
    return span
  })
  const again = to.spans.filter(({ parentSpanId }) => parentSpanId === failed.parentSpanId)
  expect(again.map(({ attributes }) => attributes['hansa.attempt']).sort()).toEqual([1, 2])
})

test('a caller who does not want to be recorded is not, and new traces follow the sample', async () => {
  const to = await receiver()
  const { rig } = await gateway(to.url, 1)
  const worker = await rig.addWorker()
  await rig.call('/apps/digits/v2', { headers: { traceparent: `00-${traceId}-${callerSpan}-00` } })
  expect(worker.requests[0]?.headers.traceparent).toMatch(/-00$/)
  await rig.call('/apps/digits/v2')
  const request = await spanCalled(to, 'request')
  expect(request.traceId).not.toBe(traceId)
  expect(request.parentSpanId).toBe('')
  expect(to.spans.filter((span) => span.traceId === traceId)).toEqual([])
})

test('a receiver that fails costs spans, never a request', async () => {
  const to = await receiver()
  to.status = 400
  const { rig, registry } = await gateway(to.url, 1)
  await rig.addWorker()
  expect((await rig.call('/apps/digits/v2')).status).toBe(200)
  await eventually(async () => {
    expect(await registry.metrics()).toMatch(/hansa_trace_spans_dropped_total\{reason="ExportFailed"\} [1-9]/)
  })
  expect((await rig.call('/apps/digits/v2')).status).toBe(200)
})

test('an inference is a span with its queue, its run and its batch', async () => {
  const to = await receiver()
  const worker = await startWorker(rowsModel(), {
    batching: { maxSize: 8, maxDelayMilliseconds: 1 },
    env: { HANSA_OTLP_ENDPOINT: to.url, POD_NAME: 'digits-1' },
  })
  closing.push(() => worker.close())
  const input = { name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] }
  outputs(await inferJson(worker.url, [input], {}, { headers: recorded }))
  outputs(await inferJson(worker.url, [input], {}, { headers: { traceparent: `00-${traceId}-${callerSpan}-00` } }))
  const span = await spanCalled(to, 'inference')
  expect(span).toMatchObject({
    service: 'hansa-worker',
    kind: 'SPAN_KIND_SERVER',
    traceId,
    parentSpanId: callerSpan,
    failed: false,
    attributes: { 'hansa.service': 'echo', 'hansa.batch_requests': 1, 'hansa.batch_rows': 2 },
  })
  expect(span.attributes['hansa.run_ms']).toBeGreaterThan(0)
  expect(span.attributes['hansa.queue_ms']).toBeGreaterThanOrEqual(0)
  expect(to.spans).toHaveLength(1)
})
