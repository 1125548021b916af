import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { request as httpRequest } from 'undici'
import { beforeEach, expect, test } from 'vitest'
import { startCuttableLine } from '../../cluster/hansa/cut.ts'
import { eventually } from '../gateway/gateway-under-test.ts'
import type { TestWorker } from '../gateway/test-worker.ts'
import { connected, join, type Lent, lend, type OwnerRig, usersService } from './owner-rig.ts'
import { startOwnerRig } from './two-gateways.ts'

const path = '/apps/digits/v2/models/digits/infer'
let a: OwnerRig
let b: OwnerRig
let lent: Lent
let worker: TestWorker

async function scene(options: { address?: string } = {}): Promise<void> {
  join(a, b, a, options.address)
  lent = lend(a, b)
  worker = await b.addWorker(lent.local.service, lent.local.namespace)
  await connected(a, 'b')
  await eventually(async () =>
    expect(await a.call(path, { method: 'POST', body: '{}' })).toMatchObject({ status: 200 }),
  )
}

beforeEach(async () => {
  a = await startOwnerRig('a', { services: [usersService()] })
  b = await startOwnerRig('b')
})

async function open(body: Readable | string, headers: Record<string, string> = {}, signal?: AbortSignal) {
  const answer = await httpRequest(`${a.gateway.url.replace('127.0.0.1', 'localhost')}${path}`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${await a.token()}`, ...headers },
    dispatcher: a.agent,
    ...(signal !== undefined && { signal }),
  })
  answer.body.on('error', () => undefined)
  return answer
}

test('bodies flow both ways piece by piece, and a worker hears when the user leaves', async () => {
  await scene()
  let left = false
  worker.handle = (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    request.on('data', (piece: Buffer) => response.write(`got ${piece.length}\n`))
    response.on('close', () => {
      left = !response.writableFinished
    })
  }
  const body = new Readable({ read: () => undefined })
  body.push('x'.repeat(70_000))
  const leaving = new AbortController()
  const answer = await open(body, {}, leaving.signal)
  const [first] = await once(answer.body, 'data')
  expect(String(first)).toMatch(/^got /)
  body.push('yy')
  let text = ''
  answer.body.on('data', (piece: Buffer) => {
    text += piece
  })
  await eventually(() => expect(text).toContain('got 2'))
  leaving.abort()
  await eventually(() => expect(left).toBe(true))
  // Both sides account for what broke off.
  await eventually(() => expect(b.book.servedFor.at(-1)?.receipt.status).toBe(499))
  await eventually(() => expect(a.book.seenFrom.at(-1)?.answer.whole).toBe(false))
})

test('a user who does not read slows the worker of the peer down, instead of filling memory in between', async () => {
  await scene()
  let written = 0
  const piece = Buffer.alloc(65_536, 'x')
  worker.handle = (request, response) => {
    request.resume()
    response.writeHead(200, {})
    const more = () => {
      while (written < 400 * piece.length) {
        written += piece.length
        if (!response.write(piece)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    more()
  }
  const answer = await open('{}')
  // Until nothing more is taken.
  for (let before = -1; before !== written; ) {
    before = written
    await sleep(500)
  }
  expect(written).toBeLessThan(300 * piece.length)
  let got = 0
  for await (const chunk of answer.body) got += (chunk as Buffer).length
  expect(got).toBe(400 * piece.length)
  await eventually(() => expect(a.book.seenFrom.at(-1)?.answer).toMatchObject({ whole: true, responseBytes: got }))
  expect(a.book.seenFrom.at(-1)?.answer.receipt).toEqual(b.book.servedFor.at(-1)?.receipt)
})

test('a large body reaches the worker of the peer whole', async () => {
  await scene()
  const body = Buffer.alloc(5_000_000, 'z')
  const answer = await a.call(path, { method: 'POST', body, headers: { 'content-type': 'text/plain' } })
  expect(answer).toMatchObject({ status: 200, bytes: body.length })
  expect(b.book.servedFor.at(-1)?.receipt).toMatchObject({ requestBytes: body.length, responseBytes: body.length })
})

test('with the connection an answer that has begun breaks off; one that has not is given by another; the peer comes back', async () => {
  const line = await startCuttableLine(b.data.address)
  await scene({ address: line.address })
  const types: (string | undefined)[] = []
  worker.handle = (request, response) => {
    request.resume()
    types.push(request.headers['content-type'])
    if (request.headers['content-type'] !== 'text/begins') return
    response.writeHead(200, {})
    response.write('first')
  }
  const [begins, silent] = [open('{}', { 'content-type': 'text/begins' }), open('{}')]
  const { body } = await begins
  await eventually(() => expect(types).toHaveLength(2))
  await a.addWorker('digits', 'apps', (request, response) => {
    request.resume()
    response.end('own')
  })
  await eventually(async () => {
    const ready = 'hansa_gateway_ready_workers{namespace="apps",service="digits"} 2'
    expect(await a.registry.metrics()).toContain(ready)
  })
  line.cut('Reset')
  await expect(body.text()).rejects.toThrow()
  // It was asked elsewhere, though it was a POST.
  expect(await (await silent).body.text()).toBe('own')
  // While the connection is away nobody notices.
  for (let i = 0; i < 5; i += 1) {
    expect(await a.call(path, { method: 'POST', body: '{}' })).toMatchObject({ status: 200, text: 'own' })
  }
  a.cluster.pods = []
  a.cluster.changed()
  worker.handle = (request, response) => {
    request.resume()
    response.end('peer')
  }
  line.heal()
  await eventually(async () => {
    const got = await a.call(path, { method: 'POST', body: '{}' })
    expect(got).toMatchObject({ status: 200, text: 'peer', headers: { 'x-hansa-owner': 'b' } })
  }, 20)
  await line.close()
}, 60_000)

test('what was asked of a peer that falls silent is asked elsewhere as well, and nobody waits until the connection is given up', async () => {
  const line = await startCuttableLine(b.data.address)
  await scene({ address: line.address })
  let reached = 0
  worker.handle = (request) => {
    request.resume()
    reached += 1
  }
  const waiting = open('{}')
  await eventually(() => expect(reached).toBe(1))
  await a.addWorker('digits', 'apps', (request, response) => {
    request.resume()
    response.end('own')
  })
  line.cut('Silence')
  const began = performance.now()
  expect(await (await waiting).body.text()).toBe('own')
  expect(performance.now() - began).toBeLessThan(10_000)
  await line.close()
}, 60_000)

test('with nobody else to ask, an answer of a peer that was silent for a moment still counts', async () => {
  const line = await startCuttableLine(b.data.address)
  await scene({ address: line.address })
  let reached = 0
  worker.handle = (request, response) => {
    request.resume()
    reached += 1
    response.end('peer')
  }
  line.cut('Silence')
  const waiting = open('{}')
  await sleep(4000)
  line.heal()
  expect(await (await waiting).body.text()).toBe('peer')
  expect(reached).toBe(1)
  await line.close()
}, 60_000)
