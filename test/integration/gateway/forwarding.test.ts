import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Rig, startRig } from './gateway-under-test.ts'

let rig: Rig

beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

test('a listed caller reaches the worker and gets its answer', async () => {
  const worker = await rig.addWorker()
  const body = JSON.stringify({ inputs: [1, 2, 3] })
  const answer = await rig.call('/apps/digits/v2/models/digits/infer', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  expect(answer).toMatchObject({ status: 200, text: body })
  expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/)
  expect(worker.requests[0]).toMatchObject({
    method: 'POST',
    url: '/v2/models/digits/infer',
    peer: 'spiffe://test.hansa/ns/hansa-system/sa/hansa-gateway',
  })
})
