import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { configMaps } from './builtin.ts'
import { type ClientLimits, createClient } from './client.ts'
import type { KubeClient } from './client-types.ts'

const { signal } = new AbortController()
const ref = { namespace: 'ns', name: 'a' }
const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...ref, uid: 'u', resourceVersion: '1' } }
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void

async function serve(
  handler: Handler,
  limits: ClientLimits = {},
): Promise<{ client: KubeClient; count: () => number }> {
  let count = 0
  const server = createServer((request, response) => handler(request, response, ++count))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A TCP server's address is never a string.
  const { port } = server.address() as AddressInfo
  let token = 0
  const client = createClient({
    cluster: {
      name: 'test',
      server: `http://127.0.0.1:${port}/prefix`,
      namespace: undefined,
      tls: () => ({}),
      async headers(fresh) {
        if (fresh) token++
        return { authorization: `Bearer ${token}` }
      },
    },
    userAgent: 'test',
    limits,
    random: () => 0,
  })
  cleanups.push(
    () => client.close(),
    () => server.closeAllConnections(),
    () => server.close(),
  )
  return { client, count: () => count }
}

function answer(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

test('unknown fields come through as they are, and a prefix of the server URL is kept', async () => {
  let path: string | undefined
  const odd = { ...object, 'x-unknown': { nested: [1, null, 'ä'] } }
  const { client } = await serve((request, response) => {
    path = request.url
    answer(response, 200, odd)
  })
  expect(await client.get(configMaps, ref, { signal })).toEqual(odd)
  expect(path).toBe('/prefix/api/v1/namespaces/ns/configmaps/a')
})

test('Retry-After of a 429 is honoured within the deadline', async () => {
  const { client, count } = await serve((_, response, n) =>
    n === 1 ? answer(response, 429, {}, { 'retry-after': '1' }) : answer(response, 200, object),
  )
  const began = performance.now()
  expect(await client.get(configMaps, ref, { signal })).toEqual(object)
  expect(performance.now() - began).toBeGreaterThan(950)
  expect(count()).toBe(2)
})

test('a Retry-After beyond the deadline is told to the caller at once', async () => {
  const { client, count } = await serve((_, response) => answer(response, 503, {}, { 'retry-after': '60' }))
  const error = await client.get(configMaps, ref, { signal }).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ status: 503, retry: 'after', afterSeconds: 60 })
  expect(count()).toBe(1)
})

test('a server that always says to come back is asked five times at most', async () => {
  const { client, count } = await serve((_, response) => answer(response, 429, {}, { 'retry-after': '0.01' }))
  await expect(client.get(configMaps, ref, { signal })).rejects.toMatchObject({ status: 429 })
  expect(count()).toBe(5)
})

test('refused credentials are read anew, once', async () => {
  const seen: (string | undefined)[] = []
  const { client } = await serve((request, response) => {
    seen.push(request.headers.authorization)
    if (request.headers.authorization === 'Bearer 1') answer(response, 200, object)
    else answer(response, 401, {})
  })
  expect(await client.get(configMaps, ref, { signal })).toEqual(object)
  expect(seen).toEqual(['Bearer 0', 'Bearer 1'])

  const { client: refused, count } = await serve((_, response) => answer(response, 401, {}))
  await expect(refused.get(configMaps, ref, { signal })).rejects.toMatchObject({ reason: 'Unauthorized' })
  expect(count()).toBe(2)
})

test('a server that says nothing, and one that stops in the middle, end with the deadline', async () => {
  const { client } = await serve((_, response, n) => {
    if (n === 2) {
      response.writeHead(200)
      response.write('{"metadata"')
    }
  })
  for (let n = 0; n < 2; n++) {
    const call = client.get(configMaps, ref, { signal, timeoutSeconds: 0.3 })
    await expect(call).rejects.toMatchObject({ reason: 'ApiServerTimeout', retry: 'backoff' })
  }
})

test("the caller's signal ends a call with its reason", async () => {
  const { client } = await serve(() => undefined)
  const stopping = new AbortController()
  const call = client.get(configMaps, ref, { signal: stopping.signal })
  setTimeout(() => stopping.abort(new Error('enough')), 50)
  await expect(call).rejects.toThrow('enough')
})

test('an answer beyond the limit is refused', async () => {
  const { client } = await serve((_, response) => answer(response, 200, { ...object, data: 'x'.repeat(10_000) }), {
    responseBytes: 5_000,
  })
  await expect(client.get(configMaps, ref, { signal })).rejects.toMatchObject({ reason: 'ApiServerAnswerTooLarge' })
})

test('an answer that is no JSON, or no object, is refused', async () => {
  const { client } = await serve((_, response, n) => answer(response, 200, n === 1 ? '<html>' : '[]'))
  for (let n = 0; n < 2; n++) {
    await expect(client.get(configMaps, ref, { signal })).rejects.toMatchObject({ reason: 'ApiServerAnswerInvalid' })
  }
})

test('a connection that breaks is told as unreachable', async () => {
  const { client } = await serve((request) => request.socket.destroy())
  await expect(client.get(configMaps, ref, { signal })).rejects.toMatchObject({ reason: 'ApiServerUnreachable' })
})

test('calls beyond the burst wait for their turn', async () => {
  const { client } = await serve((_, response) => answer(response, 200, object), { requestsPerSecond: 10, burst: 2 })
  const began = performance.now()
  await Promise.all(Array.from({ length: 5 }, () => client.get(configMaps, ref, { signal })))
  expect(performance.now() - began).toBeGreaterThan(280)
})

test('a list whose pages have expired is read whole in one answer', async () => {
  const queries: string[] = []
  const { client } = await serve((request, response) => {
    const query = new URL(request.url ?? '', 'http://x').searchParams
    queries.push(query.get('continue') ?? query.get('limit') ?? 'whole')
    if (query.has('continue')) answer(response, 410, { reason: 'Expired' })
    else if (query.has('limit')) answer(response, 200, { metadata: { resourceVersion: '1', continue: 'x' }, items: [] })
    else answer(response, 200, { metadata: { resourceVersion: '2' }, items: [object] })
  })
  const list = await client.list(configMaps, { signal, pageSize: 1 })
  expect(list.resourceVersion).toBe('2')
  expect(list.items).toHaveLength(1)
  expect(queries).toEqual(['1', 'x', 'whole'])
})
