import { createHash } from 'node:crypto'
import { commitment } from '@hansa/operator/ledger/receipt.ts'
import { expect, test } from 'vitest'
import { eventually } from '../gateway/gateway-under-test.ts'
import { connected, join, lend, usersService } from './owner-rig.ts'
import { startOwnerRig } from './two-gateways.ts'

const path = '/apps/digits/v2/models/digits/infer'
const body = JSON.stringify({ inputs: [{ name: 'x', data: [1, 2, 3] }] })

test.each([
  'requester',
  'executor',
] as const)('a request of a user of A is answered by a worker of B, whoever dials: %s', async (dialler) => {
  const a = await startOwnerRig('a', { services: [usersService()] })
  const b = await startOwnerRig('b')
  join(a, b, dialler === 'requester' ? a : b)
  const lent = lend(a, b)
  const worker = await b.addWorker(lent.local.service, lent.local.namespace)
  await connected(a, 'b')
  const answer = await eventually(async () => {
    const got = await a.call(path, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    if (got.status !== 200) throw new Error(`${got.status} ${got.text}`)
    return got
  })
  expect(answer.text).toBe(body)
  expect(answer.headers['x-hansa-owner']).toBe('b')
  expect(worker.requests.at(-1)?.url).toBe('/v2/models/digits/infer')

  // Both have the same receipt, and the requester's commitments are those of the receipt.
  await expect.poll(() => a.book.seenFrom.length).toBeGreaterThan(0)
  const seen = a.book.seenFrom.at(-1)?.answer
  const served = b.book.servedFor.at(-1)
  expect(seen?.receipt).toEqual(served?.receipt)
  const salt = Buffer.from(served?.salt ?? '', 'base64url')
  const digest = createHash('sha256').update(body).digest()
  expect(served).toMatchObject({
    peer: 'a',
    receipt: {
      requestId: lent.requestId,
      epoch: 7,
      status: 200,
      requestBytes: body.length,
      responseBytes: body.length,
      request: commitment('request', salt, digest),
      response: commitment('response', salt, digest),
      dataClass: 'Internal',
      purpose: 'Inference',
    },
  })
  expect(seen).toMatchObject({ whole: true, request: served?.receipt.request, response: served?.receipt.response })
  const sent = a.book.sentTo.at(-1)?.request
  expect(sent).toMatchObject({ caller: served?.receipt.caller, model: served?.receipt.model, service: 'digits' })
})
