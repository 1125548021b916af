import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAuthority, type KeyAndCertificate } from '../owner/certificates.ts'
import { createKubeClient, type KubeClient } from './kube-client.ts'

const seen: { method?: string | undefined; url?: string | undefined; type?: string | undefined; body: string }[] = []
let client: KubeClient
let credential: KeyAndCertificate
let answer: { status: number; body: string } = { status: 200, body: '{}' }
let closeServer: () => void = () => undefined

beforeAll(async () => {
  const authority = await createAuthority('test')
  credential = await authority.issue({ commonName: 'both', ipAddresses: ['127.0.0.1'] })
  const { certPem: cert, keyPem: key } = credential
  const server = createServer({ cert, key, ca: authority.certPem, requestCert: true }, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push({ method: request.method, url: request.url, type: request.headers['content-type'], body })
    if (request.url?.includes('watch')) response.write(answer.body)
    else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const serverUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  client = createKubeClient({ serverUrl, caPem: authority.certPem, credential, userAgent: 'test' })
  closeServer = () => {
    server.closeAllConnections()
    server.close()
  }
})

afterAll(() => {
  client.close()
  closeServer()
})

test('every method carries its body, one request after the other', async () => {
  answer = { status: 200, body: '{"ok":true}' }
  for (const method of ['DELETE', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    expect(await client.request({ method, path: `/${method}`, body: { of: method } })).toEqual({ ok: true })
    expect(seen.at(-1)).toMatchObject({ method, body: JSON.stringify({ of: method }) })
  }
  await client.request({ path: '/plain' })
  expect(seen.at(-1)).toEqual({ method: 'GET', url: '/plain', type: undefined, body: '' })
})

test('a refusal is an error with the code and reason of the API server', async () => {
  answer = { status: 409, body: '{"reason":"Conflict","message":"changed"}' }
  await expect(client.request({ path: '/x' })).rejects.toMatchObject({
    status: 409,
    reason: 'Conflict',
    message: 'changed',
  })
  answer = { status: 502, body: 'no JSON' }
  await expect(client.request({ path: '/x' })).rejects.toMatchObject({ status: 502, reason: 'Unknown' })
})

test('a watch yields events as they come, and ends when the client goes offline', async () => {
  const event = (name: string) => `${JSON.stringify({ type: 'ADDED', object: { metadata: { name } } })}\n`
  // The second event lacks its end.
  answer = { status: 200, body: event('a') + event('ü').slice(0, -1) }
  const names: string[] = []
  await expect(async () => {
    for await (const { object } of client.watch('/pods?watch=1', new AbortController().signal)) {
      names.push(object.metadata.name)
      setTimeout(() => client.setOffline(true), 50)
    }
  }).rejects.toThrow()
  expect(names).toEqual(['a'])
  await expect(client.request({ path: '/x' })).rejects.toMatchObject({ status: 0, reason: 'Offline' })
  client.setOffline(false)
  answer = { status: 200, body: '{}' }
  expect(await client.request({ path: '/x' })).toEqual({})
})
