import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startIdentity, trustDomainOf } from './agent.ts'
import { createAuthority } from './authority.ts'
import { startCertificateEndpoint } from './endpoint.ts'
import { memoryIdentity } from './memory-identity.ts'
import { authorityUri, spiffe } from './spiffe.ts'
import { serverOnlyTls } from './tls.ts'

const log = pino({ level: 'silent' })
const authority = await createAuthority({ trustDomain: 'city.hansa' })
const uri = spiffe('city.hansa', 'radiology', 'triage-worker')
let folder: string
let stop: AbortController
const closing: (() => Promise<void>)[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-identity-'))
  await writeFile(join(folder, 'token'), 'token-1\n')
  stop = new AbortController()
})

afterEach(async () => {
  stop.abort()
  for (const close of closing.splice(0)) await close()
  await rm(folder, { recursive: true })
})

test('a process gets its certificate and keeps it in a file that only it may read', async () => {
  const endpoint = await serve({})
  const identity = await start(endpoint.url)
  expect(identity.uri).toBe(uri)
  expect(identity.current().caPem).toBe(authority.caPem)
  const file = join(folder, 'state', 'identity.pem')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readFile(file, 'utf8')).toBe(identity.current().keyPem + identity.current().certPem)
})

test('after a restart the stored certificate is used although the authority is gone', async () => {
  const endpoint = await serve({})
  const before = await start(endpoint.url)
  const { certPem } = before.current()
  await before.close()
  await endpoint.close()
  const after = await start(endpoint.url)
  expect(after.uri).toBe(uri)
  expect(after.current().certPem).toBe(certPem)
})

test('a stored certificate is not used when expired, torn, of another authority or without a name that is now wanted', async () => {
  const endpoint = await serve({ allowedDnsNames: () => ['a.svc', '::1', '127.0.0.7'] })
  const file = join(folder, 'state', 'identity.pem')
  const first = await start(endpoint.url)
  const good = await readFile(file, 'utf8')
  await first.close()
  const other = await memoryIdentity(await createAuthority({ trustDomain: 'city.hansa' }), uri)
  const past = await createAuthority({ trustDomain: 'city.hansa', clock: () => new Date(Date.now() - 3_600_000) })
  const expired = await memoryIdentity(past, uri, { seconds: 60 })
  for (const text of [pair(other), pair(expired), good.slice(0, 300), good + good, 'nonsense', '']) {
    await writeFile(file, text)
    const identity = await start(endpoint.url)
    expect(await readFile(file, 'utf8')).not.toBe(text)
    expect(await readFile(file, 'utf8')).toBe(pair(identity))
    await identity.close()
  }
  await writeFile(file, good)
  const named = await start(endpoint.url, { dnsNames: ['a.svc', '::1', '127.0.0.7'] })
  expect(named.current().certPem).not.toBe(first.current().certPem)
})

test('a process waits for an authority that comes up after it', async () => {
  const port = await freePort()
  const starting = start(`https://127.0.0.1:${port}`)
  await sleep(300)
  await serve({ port })
  expect((await starting).uri).toBe(uri)
})

test('waiting ends when the process is told to stop', async () => {
  const starting = start(`https://127.0.0.1:${await freePort()}`)
  setTimeout(() => stop.abort(), 100)
  await expect(starting).rejects.toThrow(/abort/i)
})

test('certificates are renewed in time, each with a new key, with the token as it then stands', async () => {
  const tokens: string[] = []
  const endpoint = await serve({
    certificateSeconds: 3,
    reviewToken: async (token) => {
      tokens.push(token)
      return { namespace: 'radiology', serviceAccount: 'triage-worker', podName: `p${tokens.length}` }
    },
  })
  const identity = await start(endpoint.url)
  const first = identity.current()
  await writeFile(join(folder, 'token'), 'token-2\n')
  const renewed = Promise.withResolvers<void>()
  const remove = identity.onRenewed(renewed.resolve)
  await renewed.promise
  remove()
  expect(identity.current().certPem).not.toBe(first.certPem)
  expect(identity.current().keyPem).not.toBe(first.keyPem)
  expect(tokens.slice(0, 2)).toEqual(['token-1', 'token-2'])
})

test('while the authority is away the old certificate stays, and is renewed once it is back', async () => {
  const endpoint = await serve({ certificateSeconds: 3 })
  const identity = await start(endpoint.url)
  const { certPem } = identity.current()
  const port = Number(new URL(endpoint.url).port)
  await endpoint.close()
  await sleep(1_800)
  expect(identity.current().certPem).toBe(certPem)
  await serve({ port, certificateSeconds: 60 })
  await vi.waitFor(() => expect(identity.current().certPem).not.toBe(certPem), { timeout: 8_000 })
})

test('a server that is not the authority never sees the token, even with a certificate of the authority', async () => {
  const impostor = await memoryIdentity(authority, spiffe('city.hansa', 'evil', 'hansa-operator'))
  let requests = 0
  const server = createServer(serverOnlyTls(impostor), (_request, response) => {
    requests++
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => void server.close())
  // Every server socket's address is an AddressInfo when it listens on a port.
  const { port } = server.address() as AddressInfo
  const lines: string[] = []
  const starting = start(`https://127.0.0.1:${port}`, { log: pino({}, { write: (line: string) => lines.push(line) }) })
  await vi.waitFor(() => expect(lines.join()).toContain(`not ${authorityUri('city.hansa')}`))
  stop.abort()
  await expect(starting).rejects.toThrow(/abort/i)
  expect(requests).toBe(0)
})

test('a certificate for somebody else is not taken at renewal', async () => {
  let serviceAccount = 'triage-worker'
  const endpoint = await serve({
    certificateSeconds: 3,
    reviewToken: async () => ({ namespace: 'radiology', serviceAccount }),
  })
  const identity = await start(endpoint.url)
  const { certPem } = identity.current()
  serviceAccount = 'other'
  await sleep(2_000)
  expect(identity.current().certPem).toBe(certPem)
})

test('the trust bundle must name exactly one trust domain', async () => {
  const other = await createAuthority({ trustDomain: 'other.hansa' })
  const twin = await createAuthority({ trustDomain: 'city.hansa' })
  expect(trustDomainOf(authority.caPem)).toBe('city.hansa')
  expect(trustDomainOf(authority.caPem + twin.caPem)).toBe('city.hansa')
  expect(() => trustDomainOf(authority.caPem + other.caPem)).toThrow('does not name exactly one trust domain')
  expect(() => trustDomainOf('')).toThrow('does not name exactly one trust domain')
})

type Changes = Partial<Parameters<typeof startCertificateEndpoint>[0]>

async function serve(changes: Changes) {
  const endpoint = await startCertificateEndpoint({
    authority,
    host: '127.0.0.1',
    port: 0,
    reviewToken: async () => ({ namespace: 'radiology', serviceAccount: 'triage-worker' }),
    allowedDnsNames: () => [],
    log,
    registry: new Registry(),
    ...changes,
  })
  let open = true
  const close = async () => {
    if (open) await endpoint.close()
    open = false
  }
  closing.push(close)
  return { url: endpoint.url, close }
}

async function start(caUrl: string, changes: { dnsNames?: string[]; log?: typeof log } = {}) {
  const identity = await startIdentity({
    caUrl,
    caPem: authority.caPem,
    tokenFile: join(folder, 'token'),
    stateDir: join(folder, 'state'),
    log,
    signal: stop.signal,
    ...changes,
  })
  closing.push(() => identity.close())
  return identity
}

function pair(identity: { current(): { keyPem: string; certPem: string } }): string {
  return identity.current().keyPem + identity.current().certPem
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
