import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { workerUri } from '../fetch/fetch-rig.ts'
import { sha256 } from '../fetch/model-source.ts'
import { granted, joined, type Owner, startOwner } from './two-owners.ts'

const model = addModel()
const weights = randomBytes(3_000_000)
const files = { 'model.onnx': model, 'weights.bin': weights }
const listed = Object.entries(files).map(([path, bytes]) => ({ path, sha256: sha256(bytes), sizeBytes: bytes.length }))
const requestId = '00000000-0000-4000-8000-0000000000a1'
let uids = 0

/** A Model as the fetch worker is told of it. */
function request(namespace: string, source: object, of = listed) {
  uids += 1
  const uid = `c0ffee00-0000-4000-8000-${String(uids).padStart(12, '0')}`
  return { namespace, name: 'm', uid, generation: 1, format: 'ONNX', source, files: of }
}

/** Puts the model into a namespace of the owner, by a folder of the fetch worker. */
async function hold(owner: Owner): Promise<void> {
  await mkdir(join(owner.modelsDir, 'm'), { recursive: true })
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(owner.modelsDir, 'm', path), bytes)
  const body = request('radiology', { local: { path: 'm' } })
  await owner.fetch.put(body)
  expect(await owner.fetch.until(body.uid, 'Verified', 'Failed')).toMatchObject({ phase: 'Verified' })
}

const fromPeer = (of = listed, peerName = 'a', namespace = 'guests', id = requestId) =>
  request(namespace, { peer: { peerName, requestId: id } }, of)

/** Two owners, a model at A, a granted request to B; they reach each other as `dial` says. */
async function scene(dial: 'executor' | 'requester' | 'both', limits = {}): Promise<{ a: Owner; b: Owner }> {
  const [a, b] = [await startOwner('a', limits), await startOwner('b')]
  await hold(a)
  joined(a, b, dial === 'executor' ? { dial: 'Them' } : { dial: 'Us', dataAddress: b.data.address })
  joined(b, a, dial === 'requester' ? { dial: 'Them' } : { dial: 'Us', dataAddress: a.data.address })
  granted(a, b, requestId, listed)
  return { a, b }
}

test.each([
  'executor',
  'requester',
  'both',
] as const)('a guest gets its model by digest where only this side can dial: %s', async (dial) => {
  const { a, b } = await scene(dial)
  const body = fromPeer()
  await b.fetch.put(body)
  const state = await b.fetch.until(body.uid, 'Verified')
  expect(state.fetchedBytes).toBe(model.length + weights.length)
  const got = await b.fetch.call(workerUri('guests'), 'GET', `/v1/blobs/sha256:${sha256(weights)}`)
  expect(got.bytes.equals(weights)).toBe(true)
  expect(await a.registry.metrics()).toContain(
    `hansa_gateway_peer_bytes_total{peer="b",direction="sent"} ${model.length + weights.length}`,
  )
  expect(await b.registry.metrics()).toContain('hansa_gateway_peer_bytes_total{peer="a",direction="received"}')
})

test('what was not promised is not given: other files, other requests, other peers, other namespaces, after the end', async () => {
  const { a, b } = await scene('both')
  const c = await startOwner('c')
  joined(a, c, { dial: 'Them' })
  joined(c, a, { dial: 'Us', dataAddress: a.data.address })
  const other = '00000000-0000-4000-8000-0000000000c3'
  const held = { path: 'model.onnx', sha256: sha256(model), sizeBytes: model.length }
  const failed = async (owner: Owner, body: ReturnType<typeof request>, reason: string) => {
    await owner.fetch.put(body)
    // The connection may still be coming up.
    await expect
      .poll(async () => (await owner.fetch.until(body.uid, 'Failed', 'Verified')).reason, { timeout: 20_000 })
      .toBe(reason)
  }

  // B asks in the name of a namespace, a request, a peer that is not that of the grant: our own gateway refuses.
  await failed(b, fromPeer([held], 'a', 'apps'), 'PeerWorkNotGranted')
  await failed(b, fromPeer([held], 'a', 'guests', other), 'PeerWorkNotGranted')
  await failed(b, fromPeer([held], 'c'), 'PeerWorkNotGranted')

  // C claims a grant of B's request: A's gateway knows who asks.
  c.cluster.guestWorks = b.cluster.guestWorks
  c.changed()
  await failed(c, fromPeer([held]), 'PeerRefused')

  // A file that A holds and the request does not name.
  a.cluster.remoteWorks = []
  granted(a, b, requestId, [{ sha256: sha256(weights), sizeBytes: weights.length }])
  await failed(b, fromPeer([held]), 'PeerRefused')

  // The right file, after the end.
  a.cluster.remoteWorks = []
  granted(a, b, requestId, listed)
  for (const work of a.cluster.remoteWorks) work.status = { answer: { decision: 'Ended', sequence: 2 } }
  a.changed()
  await failed(b, fromPeer([held]), 'PeerRefused')

  // And it was none of the above that kept the good one away.
  for (const work of a.cluster.remoteWorks) work.status = { answer: { decision: 'Granted', sequence: 3 } }
  a.changed()
  const good = fromPeer([held])
  await b.fetch.put(good)
  await b.fetch.until(good.uid, 'Verified')
}, 90_000)

test('a frozen peer is cut off in the middle, and what was fetched is gone on from afterwards', async () => {
  const { a, b } = await scene('both', { bytesPerSecond: 500_000 })
  const body = fromPeer()
  await b.fetch.put(body)
  await expect
    .poll(async () => (await b.fetch.until(body.uid, 'Fetching', 'Failed', 'Verified')).fetchedBytes, {
      timeout: 20_000,
    })
    .toBeGreaterThan(300_000)
  a.cluster.peers = a.cluster.peers.map((peer) => ({ ...peer, spec: { ...peer.spec, suspend: true } }))
  a.changed()
  await expect.poll(async () => a.registry.metrics()).not.toContain('hansa_gateway_peer_connections{peer="b"')
  await expect
    .poll(async () => (await b.fetch.until(body.uid, 'Fetching', 'Failed', 'Verified')).phase, { timeout: 20_000 })
    .toBe('Failed')
  a.cluster.peers = a.cluster.peers.map((peer) => ({ ...peer, spec: { ...peer.spec, suspend: false } }))
  a.changed()
  await expect
    .poll(async () => (await b.fetch.until(body.uid, 'Fetching', 'Failed', 'Verified')).phase, { timeout: 40_000 })
    .toBe('Verified')
  // No byte of what had arrived was sent again, but for what was on its way.
  const sent = /hansa_gateway_peer_bytes_total\{peer="b",direction="sent"\} (\d+)/.exec(await a.registry.metrics())?.[1]
  expect(Number(sent)).toBeLessThan(model.length + weights.length + 2_000_000)
}, 90_000)
