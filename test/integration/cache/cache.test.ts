import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { identityConnector } from '@hansa/operator/identity/connector.ts'
import { memoryIdentity } from '@hansa/operator/identity/memory-identity.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { cacheSettings } from '@hansa/worker/cache/settings.ts'
import { startCache } from '@hansa/worker/cache/start-cache.ts'
import { runPull } from '@hansa/worker/pull/run-pull.ts'
import { pullSettings } from '@hansa/worker/pull/settings.ts'
import { Agent, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { addModel } from '../../builders/onnx-model.ts'
import { startCutter } from '../fetch/cutter.ts'
import { type FetchRig, fetchUri, operatorUri, startRig, workerUri } from '../fetch/fetch-rig.ts'
import { modelRequest } from '../fetch/model-request.ts'
import { sends, sha256, startModelSource } from '../fetch/model-source.ts'

const model = addModel()
const weights = randomBytes(5_000_000)
const files = { 'model.onnx': model, 'weights.bin': weights }
const total = model.length + weights.length
const cacheUri = 'spiffe://test.hansa/ns/hansa-system/sa/hansa-cache'
const log = createLogger('cache', 'silent')

async function counter(url: string, name: string, labels = ''): Promise<number> {
  const { body } = await request(`${url}/metrics`)
  const line = (await body.text()).split('\n').find((each) => each.startsWith(`${name}${labels} `))
  return Number(line?.split(' ').at(-1) ?? 0)
}

async function verified(named: Record<string, Uint8Array> = files) {
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  const source = await startModelSource(authority, ['models.example'])
  onTestFinished(() => source.close())
  for (const [path, bytes] of Object.entries(named)) source.handlers.set(`/${path}`, sends(bytes))
  const rig = await startRig({ authority })
  const body = modelRequest(source.url(), named)
  await rig.put(body)
  await rig.until(body.uid, 'Verified')
  return { rig, body }
}

async function cacheOf(rig: FetchRig, env: Record<string, string> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'hansa-cache-'))
  const settings = cacheSettings({
    HANSA_STATE_DIR: join(dir, 'state'),
    HANSA_CACHE_DIR: join(dir, 'blobs'),
    HANSA_CACHE_MAX_BYTES: '100000000',
    HANSA_CACHE_PORT: '0',
    HANSA_PROBES_PORT: '0',
    HANSA_CA_URL: 'https://unused.invalid:9443',
    HANSA_CA_TOKEN_FILE: '/nowhere',
    HANSA_TRUST_DOMAIN: 'test.hansa',
    POD_IP: '127.0.0.1',
    HANSA_FETCH_URL: rig.fetch().url,
    HANSA_FETCH_URI: fetchUri,
    ...env,
  })
  const identity = await memoryIdentity(rig.authority, cacheUri)
  const start = () => startCache(settings, { log, signal: new AbortController().signal, identity })
  const cache = await start()
  let open = true
  const close = async () => {
    if (open) await cache.close()
    open = false
  }
  onTestFinished(async () => {
    await close()
    await rm(dir, { recursive: true, force: true })
  })
  async function get(sha: string, uri = workerUri('radiology'), headers: Record<string, string> = {}) {
    const connect = identityConnector(await memoryIdentity(rig.authority, uri), cacheUri)
    const dispatcher = new Agent({ connect })
    try {
      const answer = await request(`${cache.url}/v1/blobs/sha256:${sha}`, { dispatcher, headers })
      return { status: answer.statusCode, bytes: Buffer.from(await answer.body.arrayBuffer()) }
    } finally {
      await dispatcher.destroy()
    }
  }
  return { ...cache, close, get, dir }
}

let pods = 0
async function pull(rig: FetchRig, body: object, cacheUrl: string, env: Record<string, string> = {}) {
  pods += 1
  const dir = join(rig.dir, `pod-${pods}`)
  await mkdir(dir, { recursive: true })
  const settings = pullSettings({
    HANSA_MODEL: JSON.stringify(body),
    HANSA_MODEL_DIR: dir,
    HANSA_TERMINATION_LOG: join(rig.dir, 'termination'),
    HANSA_FETCH_URL: rig.fetch().url,
    HANSA_FETCH_URI: fetchUri,
    HANSA_CACHE_URL: cacheUrl,
    HANSA_CACHE_URI: cacheUri,
    HANSA_PULL_TIMEOUT_SECONDS: '20',
    ...env,
  })
  const identity = await memoryIdentity(rig.authority, workerUri('radiology'))
  const code = await runPull(settings, { log, signal: new AbortController().signal, identity })
  return { code, right: (await readFile(join(dir, 'weights.bin'))).equals(weights) }
}

test('four workers that start at once cost the fetch worker each file once', async () => {
  const { rig, body } = await verified()
  const cache = await cacheOf(rig)
  const pulled = await Promise.all([1, 2, 3, 4].map(() => pull(rig, body, cache.url)))
  expect(pulled).toEqual(new Array(4).fill({ code: 0, right: true }))
  expect(await counter(rig.fetch().probesUrl, 'hansa_fetch_served_bytes_total')).toBe(total)
  expect(await counter(cache.probesUrl, 'hansa_cache_served_bytes_total')).toBe(4 * total)
  expect(await counter(cache.probesUrl, 'hansa_cache_requests_total', '{result="filled"}')).toBe(2)
})

test('a range is served from a whole file and from one that comes in', async () => {
  const { rig } = await verified()
  const cache = await cacheOf(rig)
  const tail = weights.subarray(4_000_000)
  const answers = await Promise.all([
    cache.get(sha256(weights)),
    cache.get(sha256(weights), workerUri('radiology'), { range: 'bytes=4000000-' }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 206])
  expect(answers[1]?.bytes.equals(tail)).toBe(true)
  const later = await cache.get(sha256(weights), workerUri('radiology'), { range: 'bytes=4000000-' })
  expect([later.status, later.bytes.equals(tail)]).toEqual([206, true])
  expect((await cache.get(sha256(weights), workerUri('radiology'), { range: 'bytes=9000000-' })).status).toBe(416)
})

test('another namespace gets 404, cached or not, and strangers nothing', async () => {
  const { rig } = await verified()
  const cache = await cacheOf(rig)
  expect((await cache.get(sha256(weights), workerUri('cardiology'))).status).toBe(404)
  expect((await cache.get(sha256(weights))).status).toBe(200)
  expect((await cache.get(sha256(weights), workerUri('cardiology'))).status).toBe(404)
  for (const stranger of [operatorUri, 'spiffe://test.hansa/ns/radiology/sa/default', cacheUri])
    expect((await cache.get(sha256(weights), stranger)).status).toBe(403)
})

test('fetch takes the word of the cache for a namespace, and of nobody else', async () => {
  const { rig } = await verified()
  const blob = `/v1/blobs/sha256:${sha256(weights)}`
  const as = async (uri: string, namespace?: string) => {
    const headers = namespace === undefined ? {} : { 'x-hansa-namespace': namespace }
    return (await rig.call(uri, 'GET', blob, { headers })).status
  }
  expect(await as(cacheUri, 'radiology')).toBe(200)
  expect(await as(cacheUri, 'cardiology')).toBe(404)
  expect(await as(cacheUri)).toBe(400)
  expect(await as(cacheUri, 'Radio/logy')).toBe(400)
  expect(await as(workerUri('cardiology'), 'radiology')).toBe(404)
  expect(
    (await rig.call(cacheUri, 'GET', '/v1/models', { headers: { 'x-hansa-namespace': 'radiology' } })).status,
  ).toBe(403)
})

test('a deleted Model is gone from the cache when its grant has run out', async () => {
  const { rig, body } = await verified()
  const cache = await cacheOf(rig, { HANSA_CACHE_GRANT_SECONDS: '0.2' })
  expect((await cache.get(sha256(weights))).status).toBe(200)
  await rig.call(operatorUri, 'DELETE', `/v1/models/${body.uid}`)
  await expect.poll(async () => (await cache.get(sha256(weights))).status).toBe(404)
})

test('a cache that dies in the middle of a pull, and one that is not there, cost a worker nothing but time', async () => {
  const { rig, body } = await verified()
  const cache = await cacheOf(rig)
  const cutter = await startCutter(Number(new URL(cache.url).port))
  onTestFinished(() => cutter.close())
  cutter.cutAfter(1_000_000, 100)
  expect(await pull(rig, body, `https://127.0.0.1:${cutter.port}`)).toEqual({ code: 0, right: true })
  expect(cutter.cuts()).toBe(1)
  await cache.close()
  expect(await pull(rig, body, cache.url)).toEqual({ code: 0, right: true })
})

test('what fetch breaks off comes on from where it stopped, and a changed copy on the disk is not served', async () => {
  const { rig, body } = await verified()
  const cutter = await startCutter(Number(new URL(rig.fetch().url).port))
  onTestFinished(() => cutter.close())
  const cache = await cacheOf(rig, { HANSA_FETCH_URL: `https://127.0.0.1:${cutter.port}` })
  cutter.cutAfter(2_000_000, 1)
  expect(await pull(rig, body, cache.url)).toEqual({ code: 0, right: true })
  expect(cutter.cuts()).toBe(1)
  expect(cutter.bytes()).toBeLessThan(total + 2_000_000)
  const stored = join(cache.dir, 'blobs', 'sha256', sha256(weights))
  await rm(stored)
  await writeFile(stored, Buffer.alloc(weights.length))
  expect(await pull(rig, body, cache.url)).toEqual({ code: 0, right: true })
})

test('the file that was used the longest ago makes room', async () => {
  const parts = Object.fromEntries(['a.bin', 'b.bin', 'c.bin'].map((path) => [path, randomBytes(1_000_000)]))
  const { rig } = await verified({ 'model.onnx': model, ...parts })
  const cache = await cacheOf(rig, { HANSA_CACHE_MAX_BYTES: '2500000' })
  const shas = Object.values(parts).map(sha256)
  const [a = '', b = '', c = ''] = shas
  const stored = async () => (await readdir(join(cache.dir, 'blobs', 'sha256'))).sort()
  for (const sha of [a, b, a, c]) expect((await cache.get(sha)).status).toBe(200)
  expect(await stored()).toEqual([a, c].sort())
  expect(await counter(cache.probesUrl, 'hansa_cache_evicted_bytes_total')).toBe(1_000_000)
})

test('what does not fit at all is not cached, and its worker gets it from fetch', async () => {
  const { rig, body } = await verified()
  const cache = await cacheOf(rig, { HANSA_CACHE_MAX_BYTES: '1000000' })
  expect((await cache.get(sha256(weights))).status).toBe(503)
  expect(await pull(rig, body, cache.url)).toEqual({ code: 0, right: true })
})
