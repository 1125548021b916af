import { once } from 'node:events'
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import { leaseAnnotationName, leaseText } from '@hansa/operator/guestlease/lease.ts'
import { beforeEach, expect, test } from 'vitest'
import { eventually } from '../gateway/gateway-under-test.ts'
import { connected, join, type Lent, lend, type OwnerRig, requestIdOf } from './owner-rig.ts'
import { startOwnerRig } from './two-gateways.ts'

const body = '{"inputs":[]}'

/** Asks the gateway of `rig` for what `from` may ask it, with headers of the test's own. */
async function ask(from: OwnerRig, to: string, lent: Lent, changes: OutgoingHttpHeaders = {}) {
  const session = from.data.callerOf(to)
  if (session === undefined) throw new Error('no connection')
  return answerOf(session, {
    ':method': 'POST',
    ':path': `/v1/work/${lent.requestId}/v2/models/m/infer`,
    'content-type': 'application/json',
    'x-hansa-epoch': '7',
    'x-hansa-data-class': 'Internal',
    'x-hansa-purpose': 'Inference',
    'x-hansa-timeout-ms': '5000',
    'x-hansa-receipt': `${'i'.repeat(22)}.${'s'.repeat(22)}.${'0'.repeat(64)}`,
    ...changes,
  })
}

async function answerOf(session: ClientHttp2Session, headers: OutgoingHttpHeaders) {
  const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
  const stream = session.request(sent)
  stream.on('error', () => undefined)
  stream.end(headers[':method'] === 'POST' ? body : undefined)
  const [head] = await once(stream, 'response')
  let text = ''
  stream.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  await once(stream, 'end')
  return { status: head[':status'], refused: head['x-hansa-refused'], text }
}

let a: OwnerRig
let b: OwnerRig
let lent: Lent
let reached: () => number

beforeEach(async () => {
  ;[a, b] = [await startOwnerRig('a'), await startOwnerRig('b')]
  join(a, b)
  lent = lend(a, b)
  const worker = await b.addWorker(lent.local.service, lent.local.namespace)
  reached = () => worker.requests.length
  await connected(a, 'b')
  await eventually(async () => expect(await ask(a, 'b', lent)).toMatchObject({ status: 200, text: body }))
})

test('whatever the lease does not say is refused with its reason, before a worker sees it', async () => {
  const before = reached()
  const other = requestIdOf('ffff')
  const path = `/v1/work/${other}/v2/models/m/infer`
  const cases: [OutgoingHttpHeaders, number, string][] = [
    [{ 'x-hansa-epoch': '6' }, 503, 'WrongEpoch'],
    [{ 'x-hansa-epoch': '8' }, 503, 'WrongEpoch'],
    [{ 'x-hansa-data-class': 'Public' }, 403, 'WrongDataClass'],
    [{ 'x-hansa-data-class': 'Restricted' }, 403, 'WrongDataClass'],
    [{ 'x-hansa-purpose': 'Training' }, 403, 'WrongPurpose'],
    [{ ':path': path }, 403, 'WorkNotGranted'],
    [{ 'x-hansa-epoch': undefined }, 400, 'HeadInvalid'],
    [{ 'x-hansa-receipt': 'x' }, 400, 'HeadInvalid'],
    [{ 'x-hansa-timeout-ms': '0' }, 400, 'HeadInvalid'],
    [{ 'x-hansa-data-class': 'internal' }, 400, 'HeadInvalid'],
    [{ ':method': 'PUT' }, 400, 'HeadInvalid'],
    [{ ':path': `/v1/work/${lent.requestId}/v3/models` }, 400, 'HeadInvalid'],
    [{ ':path': `/v1/work/${lent.requestId}/v2/../v1/x` }, 400, 'HeadInvalid'],
    [{ ':path': `/v1/work/${lent.requestId}/v2/%2e%2e/x` }, 400, 'HeadInvalid'],
  ]
  for (const [changes, status, reason] of cases) {
    const answer = await ask(a, 'b', lent, changes)
    expect({ changes, ...answer }).toMatchObject({ changes, status, refused: reason })
    expect(JSON.parse(answer.text)).toMatchObject({ reason })
  }
  expect(reached()).toBe(before)
})

test('a lease that is over, an end, a freeze of receipts and a shut-down are refused, and what comes back is served again', async () => {
  const [guest] = b.cluster.services
  if (guest === undefined) throw new Error('no service')
  const { annotations } = guest.metadata
  const refusedAs = (reason: string) =>
    eventually(async () => expect(await ask(a, 'b', lent)).toMatchObject({ refused: reason }))
  const served = () => eventually(async () => expect(await ask(a, 'b', lent)).toMatchObject({ status: 200 }))
  const leased = (text: string) => {
    b.cluster.services = b.cluster.services.map((each) =>
      each === guest || each.metadata.name === guest.metadata.name
        ? { ...each, metadata: { ...each.metadata, annotations: { ...annotations, [leaseAnnotationName]: text } } }
        : each,
    )
    b.cluster.changed()
  }
  const decided = (decision: 'Granted' | 'Ended') => {
    b.cluster.guestWorks = b.cluster.guestWorks.map((each) => ({
      ...each,
      status: { ...each.status, decision },
    }))
    b.cluster.changed()
  }

  decided('Ended')
  await refusedAs('WorkNotGranted')
  decided('Granted')
  await served()

  b.book.stopped = 'NotAgreed'
  expect(await ask(a, 'b', lent)).toMatchObject({ status: 503, refused: 'ReceiptsNotAgreed' })
  b.book.stopped = 'SpoolFull'
  expect(await ask(a, 'b', lent)).toMatchObject({ status: 503, refused: 'SpoolFull' })
  b.book.stopped = undefined
  await served()

  leased(leaseText({ epoch: 7, renewals: 1, ttlSeconds: 60, expires: new Date(Date.now() - 1000).toISOString() }))
  await refusedAs('LeaseOver')
  leased(leaseText({ epoch: 7, renewals: 2, ttlSeconds: 60, expires: new Date(Date.now() + 60_000).toISOString() }))
  await served()
})

test('another peer gets nothing of a grant, and users of the executor cannot reach the guest', async () => {
  const c = await startOwnerRig('c')
  join(c, b)
  await connected(c, 'b')
  const before = reached()
  expect(await ask(c, 'b', lent)).toMatchObject({ status: 403, refused: 'WorkNotGranted' })
  expect(await b.call(`/guests/${lent.local.service}/v2/models/m/infer`, { method: 'POST', body })).toMatchObject({
    status: 403,
  })
  expect(reached()).toBe(before)
})

test('what came from a peer is never passed on to another', async () => {
  const c = await startOwnerRig('c')
  join(b, c)
  await connected(b, 'c')
  const onward = lend(b, c, { suffix: '2' })
  const far = await c.addWorker(onward.local.service, onward.local.namespace)
  // As if somebody had made B ask C for the workers of A's guest.
  onward.remote.metadata = {
    ...onward.remote.metadata,
    namespace: lent.local.namespace,
    labels: { 'hansa.dev/inference-service': lent.local.service },
  }
  b.cluster.pods = []
  onward.changed()
  await eventually(async () => expect(await ask(a, 'b', lent)).toMatchObject({ status: 503, refused: 'NoReadyWorker' }))
  expect(far.requests).toHaveLength(0)
})
