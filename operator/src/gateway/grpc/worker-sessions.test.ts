import { once } from 'node:events'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { createAuthority } from '../../identity/authority.ts'
import { issueCredentials } from '../../identity/memory-identity.ts'
import { spiffe } from '../../identity/spiffe.ts'
import { WorkerSessions } from './worker-sessions.ts'

const pingMs = 50
let server: Http2SecureServer
let relay: Server
/** What the relay does with bytes from now on: as a node that is gone, it loses them. */
let lose = false
let sessions: WorkerSessions

async function start(onSession: (session: ServerHttp2Session) => void): Promise<WorkerSessions> {
  const authority = await createAuthority({ trustDomain: 'sessions.test' })
  const { keyPem, certPem, caPem } = await issueCredentials(authority, spiffe('sessions.test', 'apps', 'worker'))
  server = createSecureServer({ key: keyPem, cert: certPem })
  server.on('session', onSession)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: behind } = server.address() as AddressInfo // listening on a port, so no pipe's name
  lose = false
  relay = createServer((user) => {
    const worker = connect(behind, '127.0.0.1')
    const pass = (to: typeof user) => (bytes: Buffer) => void (lose || to.write(bytes))
    user
      .on('data', pass(worker))
      .on('error', () => worker.destroy())
      .on('close', () => worker.destroy())
    worker
      .on('data', pass(user))
      .on('error', () => user.destroy())
      .on('close', () => user.destroy())
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const { port } = relay.address() as AddressInfo // as above
  const tls = () => ({ ca: caPem, checkServerIdentity: () => undefined })
  sessions = new WorkerSessions('127.0.0.1', { tls, port, now: () => performance.now(), pingMs })
  return sessions
}

afterEach(() => {
  sessions.destroy()
  relay.close()
  server.close()
})

function call() {
  const opened = sessions.open({ ':method': 'POST', ':path': '/call' })
  if (opened === undefined) throw new Error('there is room for a call')
  return opened.stream
}

test('a call at a worker that fell silent ends, after more than one ping', async () => {
  let begun: number | undefined
  await start((session) => {
    session.once('stream', () => {
      lose = true
      begun = performance.now()
    })
  })
  const [error] = await once(call(), 'error')
  expect(error).toMatchObject({ reason: 'WorkerSilent' })
  expect(performance.now() - (begun ?? Number.NaN)).toBeGreaterThanOrEqual(3 * pingMs)
})

test('a call that takes long goes on while the worker answers pings', async () => {
  const pings = vi.fn()
  await start((session) => {
    session.on('ping', pings)
    session.on('stream', (stream) => stream.on('error', () => undefined))
  })
  const stream = call()
  const failed = vi.fn()
  stream.on('error', failed)
  await vi.waitFor(() => expect(pings.mock.calls.length).toBeGreaterThan(8), { timeout: 20_000 })
  expect(failed).not.toHaveBeenCalled()
  expect(stream.destroyed).toBe(false)
})
