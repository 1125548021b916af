import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startIdentity } from '@hansa/operator/identity/agent.ts'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { identityConnector } from '@hansa/operator/identity/connector.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { repository } from '../../cluster/hansa/images.ts'
import { type Installation, startInstallation, systemNamespace } from '../../cluster/hansa/installation.ts'
import { type ModelSource, sends, sha256, startModelSource } from '../fetch/model-source.ts'
import { type Hands, startHands } from '../operator/hands.ts'
import { namespace, reader, service, tenant } from '../operator/objects.ts'

const timeout = 300_000
const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ nodeName: z.string().optional() }),
      status: z.object({ podIP: z.string().optional() }),
    }),
  ),
})

let folder = ''
let source: ModelSource | undefined
let installation: Installation | undefined
let hands: Hands | undefined
let digits: Buffer
const shared = randomBytes(8_000_000)
const large = randomBytes(300_000_000)

const it = () => {
  if (installation === undefined || hands === undefined || source === undefined) throw new Error('it did not start')
  return { installation, hands, source, owner: installation.owner }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-cache-test-'))
  digits = await readFile(join(repository, 'examples/models/digits/v1/model.onnx'))
  const authority = await createAuthority({ trustDomain: 'test.hansa' })
  source = await startModelSource(authority, ['localhost'])
  installation = await startInstallation({
    name: 'cache',
    nodes: 2,
    values: {
      'operator.replicas': '1',
      'gateway.replicas': '1',
      'cache.enabled': 'true',
      'fetch.allowedCidrs': '{127.0.0.0/8}',
      'fetch.sourceCaConfigMap': 'source-ca',
    },
    objects: JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'source-ca', namespace: systemNamespace },
      data: { 'ca.pem': authority.caPem },
    }),
  })
  const { code, stderr } = await installation.owner.kubectl(
    ['rollout', 'status', 'daemonset/hansa-cache', '-n', systemNamespace, '--timeout=120s'],
    { timeoutSeconds: 130 },
  )
  if (code !== 0) throw new Error(stderr)
  hands = await startHands(installation)
  await hands.apply(...tenant(reader))
}, timeout)
afterAll(async () => {
  await installation?.stop()
  await source?.close()
  await rm(folder, { recursive: true, force: true })
})

async function pods(of: string, selector: string) {
  const query = encodeURIComponent(selector)
  const { body } = await it().owner.request({ path: `/api/v1/namespaces/${of}/pods?labelSelector=${query}` })
  return podsSchema.parse(body).items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    node: spec.nodeName,
    address: status.podIP ?? '',
  }))
}
const caches = () => pods(systemNamespace, 'app.kubernetes.io/component=cache')

async function metric(address: string, name: string): Promise<number> {
  const { body } = await request(`http://${address}:8081/metrics`)
  const line = (await body.text()).split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.split(' ')[1] ?? 0)
}

async function fetchServed(): Promise<number> {
  const [fetch] = await pods(systemNamespace, 'app.kubernetes.io/component=fetch')
  return metric(fetch?.address ?? '', 'hansa_fetch_served_bytes_total')
}

/** A model of the digits with another file beside it, at the source. */
function modelWith(name: string, bytes: Uint8Array) {
  const files = { 'model.onnx': digits, 'more.bin': bytes }
  for (const [path, content] of Object.entries(files)) it().source.handlers.set(`/${name}/${path}`, sends(content))
  return {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'Model',
    metadata: { name, namespace },
    spec: {
      format: 'ONNX',
      source: { https: { url: `${it().source.url()}${name}/` } },
      files: Object.entries(files).map(([path, content]) => ({
        path,
        sha256: sha256(content),
        sizeBytes: content.length,
      })),
    },
  }
}

test('four workers on two nodes cost the fetch worker each file twice, once for each node', { timeout }, async () => {
  const before = await fetchServed()
  await it().hands.apply(modelWith('shared', shared))
  await it().hands.apply(service('shared', 'shared', { scaling: { minReplicas: 4, maxReplicas: 4 } }))
  await it().hands.ready('shared')
  const workers = await pods(namespace, 'hansa.dev/inference-service=shared')
  expect(new Set(workers.map(({ node }) => node)).size).toBe(2)
  expect(workers).toHaveLength(4)
  expect((await fetchServed()) - before).toBe(2 * (shared.length + digits.length))
  const served = await Promise.all(
    (await caches()).map(({ address }) => metric(address, 'hansa_cache_served_bytes_total')),
  )
  expect(served.reduce((sum, bytes) => sum + bytes, 0)).toBe(4 * (shared.length + digits.length))
  expect(await it().hands.answers('shared', 200)).toMatchObject({ digits: [it().hands.digit] })
})

test('the cache of a node dies in the middle of a pull, and the worker starts', { timeout }, async () => {
  await it().hands.apply(modelWith('large', large))
  await it().hands.becomes('model', 'large', 'Verified', 'True', 'Verified')
  const all = await caches()
  const before = new Map<string, number>()
  for (const { name, address } of all) before.set(name, await metric(address, 'hansa_cache_served_bytes_total'))
  await it().hands.apply(service('large', 'large'))
  const killed = await Promise.race([firstServing(all, before), sleep(120_000, undefined, { ref: false })])
  expect(killed).toBeDefined()
  await it().hands.ready('large')
  const [worker] = await pods(namespace, 'hansa.dev/inference-service=large')
  const log = await it().hands.kubectl('logs', worker?.name ?? '', '-c', 'pull')
  const position = /"position":(\d+).*the node's cache is of no use/.exec(log)?.[1]
  expect(Number(position)).toBeGreaterThan(0)
  expect(Number(position)).toBeLessThan(large.length)
  expect(await it().hands.answers('large', 200)).toMatchObject({ digits: [it().hands.digit] })
})

/** Waits until a cache sends bytes that it did not send before, and kills it; returns its name. */
async function firstServing(all: Awaited<ReturnType<typeof caches>>, before: Map<string, number>): Promise<string> {
  for (;;) {
    for (const { name, node, address } of all) {
      const more = (await metric(address, 'hansa_cache_served_bytes_total')) - (before.get(name) ?? 0)
      if (more < 1_000_000) continue
      const machine = it().installation.nodes[Number(node?.split('-').at(-1)) - 1]
      expect(machine?.killContainer(systemNamespace, name, 'cache', 'SIGKILL')).toBe(true)
      return name
    }
    await sleep(5)
  }
}

test('a worker of another namespace gets 404 from a cache that has the file', { timeout }, async () => {
  const { owner, installation: installed } = it()
  const stranger = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'strangers' } }
  await it().hands.apply(stranger)
  await owner.kubectl(['create', 'serviceaccount', 'curious-worker', '-n', 'strangers'])
  const token = join(folder, 'token')
  await writeFile(token, await owner.createToken('curious-worker', 'strangers', { audience: 'hansa-ca' }))
  const authority = installed.proxy.addressOf(systemNamespace, 'hansa-operator')
  const identity = await startIdentity({
    caUrl: `https://${authority}:9443`,
    caPem: await installed.trustPem(),
    tokenFile: token,
    stateDir: join(folder, 'stranger'),
    log: createLogger('test', 'silent'),
    signal: AbortSignal.timeout(60_000),
  })
  const cacheUri = identity.uri.replace('/ns/strangers/sa/curious-worker', `/ns/${systemNamespace}/sa/hansa-cache`)
  const dispatcher = new Agent({ connect: identityConnector(identity, cacheUri) })
  const statuses: number[] = []
  for (const { address } of await caches()) {
    const ask = async () => {
      const { statusCode, body } = await request(`https://${address}:8444/v1/blobs/sha256:${sha256(shared)}`, {
        dispatcher,
      })
      await body.dump()
      return statusCode
    }
    // One of them may still be starting again.
    statuses.push(await it().hands.eventually('the cache answers', ask))
  }
  await dispatcher.destroy()
  await identity.close()
  expect(statuses).toEqual([404, 404])
})
