import { request } from 'node:https'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterEach, expect, test } from 'vitest'
import { createAuthority } from './authority.ts'
import { type EndpointDeps, startCertificateEndpoint } from './endpoint.ts'
import { certificateRequest } from './request.ts'
import { certificateUri } from './san.ts'
import { authorityUri } from './spiffe.ts'
import { anonymousClientTls } from './tls.ts'
import { X509Certificate } from './x509.ts'

const authority = await createAuthority({ trustDomain: 'city.hansa' })
const { csrPem } = await certificateRequest()
const good = { authorization: 'Bearer secret-token' }
const closing: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

test("a token's owner gets a certificate for its own URI", async () => {
  const seen: unknown[] = []
  const { call } = await serve({
    reviewToken: async (token, audience) => {
      seen.push([token, audience])
      return { namespace: 'radiology', serviceAccount: 'triage-worker', podName: 'triage-1' }
    },
  })
  const answer = await call({ headers: good, body: JSON.stringify({ csr: csrPem }) })
  expect(answer.status).toBe(200)
  const { certificate } = JSON.parse(answer.text)
  expect(certificateUri(new Uint8Array(new X509Certificate(certificate).rawData))).toBe(
    'spiffe://city.hansa/ns/radiology/sa/triage-worker',
  )
  expect(seen).toEqual([['secret-token', 'hansa-ca']])
})

test.for([
  ['no token', 401, 'TokenMissing', { headers: {} }],
  ['another scheme', 401, 'TokenMissing', { headers: { authorization: 'Basic abc' } }],
  ['a token that is nobody’s', 401, 'TokenRefused', { headers: { authorization: 'Bearer stranger' } }],
  ['another path', 404, 'NotFound', { path: '/v1/certificates/..' }],
  ['another method', 405, 'MethodNotAllowed', { method: 'GET' }],
  ['a body that is not JSON', 400, 'RequestInvalid', { body: '{' }],
  ['an unknown field', 400, 'RequestInvalid', { body: JSON.stringify({ csr: csrPem, uri: 'spiffe://city.hansa/x' }) }],
  ['a request that is no CSR', 400, 'CertificateRequestInvalid', { body: JSON.stringify({ csr: 'x' }) }],
  ['a name of somebody else', 403, 'NameNotAllowed', { body: JSON.stringify({ csr: csrPem, dnsNames: ['b.svc'] }) }],
  ['a body above 16 KiB', 413, 'RequestTooLarge', { body: ' '.repeat(16 * 1024 + 1) }],
  ['a chunked body above 16 KiB', 413, 'RequestTooLarge', { body: ' '.repeat(64 * 1024), chunked: true }],
] as const)('%s is answered with %d %s', async ([, status, reason, change]) => {
  const { call, lines } = await serve({
    reviewToken: async (token) =>
      token === 'secret-token' ? { namespace: 'radiology', serviceAccount: 'triage-worker' } : undefined,
  })
  const answer = await call({ headers: good, body: JSON.stringify({ csr: csrPem }), ...change })
  expect({ status: answer.status, reason: JSON.parse(answer.text).error.reason }).toEqual({ status, reason })
  expect(lines.join() + answer.text).not.toMatch(/secret-token|stranger/)
})

test('a name is given to the account that it belongs to', async () => {
  const { call } = await serve({
    allowedDnsNames: (namespace, account) => [`${account}.${namespace}.svc`, '127.0.0.7'],
  })
  const dnsNames = ['triage-worker.radiology.svc', '127.0.0.7']
  const answer = await call({ headers: good, body: JSON.stringify({ csr: csrPem, dnsNames }) })
  expect(answer.status).toBe(200)
})

test('without the API server nobody gets a certificate and everybody hears when to come again', async () => {
  const { call, lines } = await serve({ reviewToken: () => Promise.reject(new Error('connect ECONNREFUSED')) })
  const answer = await call({ headers: good, body: JSON.stringify({ csr: csrPem }) })
  expect(answer.status).toBe(503)
  expect(answer.retryAfter).toBe('2')
  expect(JSON.parse(answer.text).error.reason).toBe('TokenReviewUnavailable')
  expect(lines.join()).toContain('ECONNREFUSED')
})

test('a pod that asks without end is slowed down, another one is not', async () => {
  let podName = 'greedy'
  const { call, registry } = await serve({
    reviewToken: async () => ({ namespace: 'radiology', serviceAccount: 'triage-worker', podName }),
  })
  const ask = () => call({ headers: good, body: JSON.stringify({ csr: csrPem }) })
  const statuses: number[] = []
  for (let n = 0; n < 12; n++) statuses.push((await ask()).status)
  expect(statuses).toEqual([...Array(10).fill(200), 429, 429])
  podName = 'modest'
  expect((await ask()).status).toBe(200)
  const metrics = await registry.metrics()
  expect(metrics).toContain('hansa_certificates_issued_total 11')
  expect(metrics).toContain('hansa_certificate_requests_refused_total{reason="TooManyRequests"} 2')
})

async function serve(changes: Partial<EndpointDeps>) {
  const lines: string[] = []
  const registry = new Registry()
  const endpoint = await startCertificateEndpoint({
    authority,
    host: '127.0.0.1',
    port: 0,
    reviewToken: async () => ({ namespace: 'radiology', serviceAccount: 'triage-worker' }),
    allowedDnsNames: () => [],
    log: pino({ level: 'trace' }, { write: (line: string) => lines.push(line) }),
    registry,
    ...changes,
  })
  closing.push(endpoint.close)
  return { call: (given: Call) => call(endpoint.url, given), lines, registry }
}

type Call = { path?: string; method?: string; headers: Record<string, string>; body: string; chunked?: boolean }

function call(url: string, given: Call): Promise<{ status: number; text: string; retryAfter: string | undefined }> {
  const { path = '/v1/certificates', method = 'POST', headers, body, chunked = false } = given
  return new Promise((resolve, reject) => {
    const tls = anonymousClientTls(authority.caPem, authorityUri('city.hansa'))
    const length = chunked ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const outgoing = request(`${url}${path}`, {
      ...tls,
      method,
      path,
      headers: { ...headers, ...length },
      agent: false,
    })
    outgoing.on('error', reject)
    outgoing.on('response', async (incoming) => {
      const text = (await incoming.toArray()).join('')
      resolve({ status: incoming.statusCode ?? 0, text, retryAfter: incoming.headers['retry-after'] })
    })
    outgoing.end(body)
  })
}
