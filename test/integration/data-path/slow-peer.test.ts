import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { type ClientHttp2Session, connect } from 'node:http2'
import { join } from 'node:path'
import { dialPeer } from '@hansa/operator/federation/dial-peer.ts'
import { pairingOf } from '@hansa/operator/federation/pairing.ts'
import { expect, onTestFinished, test } from 'vitest'
import { identityOf, peerOf } from '../../builders/federation.ts'
import { sha256 } from '../fetch/model-source.ts'
import { eventually } from '../gateway/gateway-under-test.ts'
import { granted, joined, type Owner, startOwner } from './two-owners.ts'

// Larger than what buffers between the two hold, so that a reader that stops is noticed.
const weights = randomBytes(30_000_000)
const digest = sha256(weights)
const listed = [{ path: 'weights.bin', sha256: digest, sizeBytes: weights.length }]
const idOf = (peer: 'b' | 'c') => `00000000-0000-4000-8000-0000000000${peer}1`

/** A raw HTTP/2 session with A's gateway, with the good certificate of a peer. */
async function session(a: Owner, peer: Owner): Promise<ClientHttp2Session> {
  const credentials = await peer.owner.certificate('gateway')
  const verdict = pairingOf(peerOf(a.owner), identityOf(peer.owner), { process: 'gateway', credentials, now: Date.now })
  if (!verdict.ok) throw new Error(verdict.message)
  const { signal } = new AbortController()
  const options = { address: a.data.address, alpn: 'hansa-data/1', timeoutSeconds: 20, signal }
  // The gateway hears of its peers a moment after they are written.
  const socket = await eventually(() => dialPeer(verdict.pairing, options))
  const opened = connect('https://peer', { createConnection: () => socket })
  opened.on('error', () => undefined)
  onTestFinished(() => opened.destroy())
  return opened
}

function get(from: ClientHttp2Session, path: string, method = 'GET') {
  const stream = from.request({ ':method': method, ':path': path })
  stream.on('error', () => undefined)
  const head = once(stream, 'response').then(([headers]) => headers[':status'])
  // Whoever is not interested in the head hears of an error by `closed`.
  head.catch(() => undefined)
  return { stream, head, closed: new Promise<void>((resolve) => stream.once('close', () => resolve())) }
}

async function milliseconds(from: ClientHttp2Session, path: string): Promise<number> {
  const started = performance.now()
  const { stream, head } = get(from, path)
  let bytes = 0
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length
  })
  expect(await head).toBe(200)
  await once(stream, 'end')
  expect(bytes).toBe(weights.length)
  return performance.now() - started
}

test('peers that read nothing hold up nobody, have their places and no more, and are cut; strange calls are refused', async () => {
  const a = await startOwner('a', { maxStreams: 4, stallSeconds: 3 })
  const [b, c] = [await startOwner('b'), await startOwner('c')]
  await mkdir(join(a.modelsDir, 'm'))
  await writeFile(join(a.modelsDir, 'm', 'weights.bin'), weights)
  const uid = 'c0ffee00-0000-4000-8000-0000000000ff'
  const source = { local: { path: 'm' } }
  await a.fetch.put({
    ...{ namespace: 'radiology', name: 'm', uid, generation: 1, format: 'TrainingBundle', source, files: listed },
  } as { uid: string; generation: number })
  expect(await a.fetch.until(uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
  joined(a, b, { dial: 'Them' })
  joined(a, c, { dial: 'Them' })
  granted(a, b, idOf('b'), listed)
  granted(a, c, idOf('c'), listed)
  const [ofB, ofC] = [`b1`, `c1`].map(
    (id) => `/v1/blobs/sha256:${digest}?request=00000000-0000-4000-8000-0000000000${id}`,
  )
  if (ofB === undefined || ofC === undefined) throw new Error('no paths')

  const [slow, quick] = [await session(a, b), await session(a, c)]
  await milliseconds(quick, ofC)
  const alone = await milliseconds(quick, ofC)
  const stuck = [1, 2, 3, 4].map(() => get(slow, ofB))
  for (const { head } of stuck) expect(await head).toBe(200)
  expect(await get(await session(a, b), ofB).head).toBe(429)
  const beside = await milliseconds(quick, ofC)
  // A loaded machine varies by itself; a peer that had to wait for the others would wait until they are cut.
  expect(beside).toBeLessThan(Math.max(2500, 5 * alone))
  await Promise.all(stuck.map(({ closed }) => closed))
  expect(await get(slow, ofB).head).toBe(200)

  expect(await get(quick, ofB).head).toBe(403)
  expect(await get(quick, ofC.replace(digest, sha256(Buffer.from('other')))).head).toBe(403)
  expect(await get(quick, ofC, 'POST').head).toBe(405)
  expect(await get(quick, '/v1/models').head).toBe(404)
  expect(await get(quick, `${ofC}&request=${idOf('b')}`).head).toBe(404)
  expect(await get(quick, `/v1/blobs/sha256:${digest}`).head).toBe(404)
}, 90_000)
