import { once } from 'node:events'
import { constants } from 'node:http2'
import { expect, test } from 'vitest'
import { eventually } from '../gateway/gateway-under-test.ts'
import { connected, join, lend, usersService } from './owner-rig.ts'
import { startOwnerRig } from './two-gateways.ts'

test('a peer that resets streams in a flood loses its connection, one that sends no end is cut; others are served', async () => {
  const b = await startOwnerRig('b', { limits: { stallSeconds: 1, maxRequests: 4 } })
  const a = await startOwnerRig('a')
  const c = await startOwnerRig('c', { services: [usersService()] })
  join(a, b)
  join(c, b)
  const [mine, other] = [lend(a, b), lend(c, b, { suffix: '2' })]
  await b.addWorker(mine.local.service, mine.local.namespace)
  await b.addWorker(other.local.service, other.local.namespace)
  await Promise.all([connected(a, 'b'), connected(c, 'b')])
  const served = () =>
    eventually(async () => {
      const answer = await c.call('/apps/digits/v2/models/m/infer', { method: 'POST', body: '{}' })
      expect(answer).toMatchObject({ status: 200, text: '{}' })
    })
  await served()
  const session = a.data.callerOf('b')
  if (session === undefined) throw new Error('no connection')
  const headers = {
    ':method': 'POST',
    ':path': `/v1/work/${mine.requestId}/v2/models/m/infer`,
    'x-hansa-epoch': '7',
    'x-hansa-data-class': 'Internal',
    'x-hansa-purpose': 'Inference',
    'x-hansa-timeout-ms': '60000',
    'x-hansa-receipt': `${'i'.repeat(22)}.${'s'.repeat(22)}.${'0'.repeat(64)}`,
  }
  const open = () => {
    const stream = session.request(headers)
    stream.on('error', () => undefined)
    return stream
  }

  const endless = [1, 2, 3, 4].map(() => open())
  for (const stream of endless) stream.write('x')
  const [fifth] = await once(open().end('{}'), 'response')
  expect(fifth).toMatchObject({ ':status': 429, 'x-hansa-refused': 'TooManyRequests' })
  await served()
  await eventually(() => expect(endless.map((stream) => stream.closed)).not.toContain(false))
  await eventually(async () => {
    const [head] = await once(open().end('{}'), 'response')
    expect(head).toMatchObject({ ':status': 200 })
  })

  const flood = setInterval(() => {
    for (let i = 0; i < 200 && !session.destroyed && !session.closed; i += 1) open().close(constants.NGHTTP2_CANCEL)
  }, 5)
  await eventually(() => expect(session.destroyed || session.closed).toBe(true))
  clearInterval(flood)
  await served()
}, 40_000)
