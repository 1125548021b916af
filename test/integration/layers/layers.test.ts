import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { events } from '@hansa/operator/kube/builtin.ts'
import { conditionOf } from '@hansa/operator/kube/conditions.ts'
import { inferenceServices } from '@hansa/operator/kube/hansa-resources.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Requester, startAsking, timeout } from '../remotework/requester.ts'

const root = resolve(import.meta.dirname, '../../..')
const script = `${root}/operator/src/cli/main.ts`
const { signal } = new AbortController()
const price = { currency: 'EUR', microsPerGPUHour: 400_000 }

let requester: Requester | undefined
const it = () => {
  if (requester === undefined) throw new Error('the requester did not start')
  return requester
}

beforeAll(async () => {
  requester = await startAsking('layers')
  await requester.join()
  await requester.tenant('library', 'Internal')
}, timeout)
afterAll(() => requester?.stop(), timeout)

type Result = { code: number; stdout: string; stderr: string }

function hansa(...args: string[]): Promise<Result> {
  return new Promise((done) => {
    const env = { ...process.env, KUBECONFIG: it().owner.kubeconfigPath }
    execFile(process.execPath, [script, ...args], { timeout: 60_000, env }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 128, stdout, stderr })
    })
  })
}

const decentralized = (status: string, reason: string, message = '') =>
  it().eventually(`Decentralized is ${status}, ${reason}: ${message}`, async () => {
    const { status: seen } = await it().service('library', 'digits')
    const found = conditionOf(seen?.conditions, 'Decentralized')
    return found?.status === status && found.reason === reason && found.message.includes(message)
  })

const spec = (leaseSeconds: number, minOwners?: number) => ({
  resources: { limits: { 'nvidia.com/gpu': '2' } },
  placement: {
    peers: [{ name: 'university', replicas: 3 }],
    leaseSeconds,
    maxPrice: price,
    ...(minOwners !== undefined && { requirements: [{ layer: 'Weights', minOwners, minOwnersToStop: 2 }] }),
  },
})

test('a requirement is broken, holds when a peer runs the model, cannot be known when it is silent, and is gone when it is', {
  timeout,
}, async () => {
  await it().allow('library', {
    dataClasses: ['Internal'],
    peers: [{ name: 'university' }],
    spendLimit: { currency: 'EUR', microsPerDay: 1_000_000_000 },
  })
  await it().serve('library', 'digits', spec(9, 2))
  await decentralized(
    'False',
    'TooFewOwners',
    'Weights: 1 owners have a part, required: 2; Weights: 1 owners are enough to stop it (no cluster with all files is left), required: 2',
  )
  const broken = await hansa('layers', 'infer/digits', '-n', 'library')
  expect(broken.code).toBe(1)
  expect(broken.stdout).toContain('x Decentralized: TooFewOwners')

  const { work, envelope, sequence } = await it().outgoing('library', 'Request')
  await it().taken(work, 'Request', sequence)
  const lease = { epoch: 1, attempt: 1, ttlSeconds: 9, incarnation: 0, price }
  await it().deliver(work, await it().says.answer(envelope, { decision: 'Granted', lease }))
  const report = { replicas: 3, readyReplicas: 3, gpuSeconds: 9000 }
  await it().deliver(work, await it().says.report(work.metadata.uid, 1, report))
  await decentralized('True', 'RequirementsMet')

  // Nothing is renewed: the peer is not heard of any more.
  await decentralized('Unknown', 'NotKnown', 'Weights: 1 to 2 owners have a part')
  await it().eventually('an event for each transition', async () => {
    const { items } = await it().client.list(events, { namespace: 'library', signal })
    const reasons = items.flatMap(({ action, reason }) => (action === 'Measure' ? [reason] : []))
    return ['TooFewOwners', 'RequirementsMet', 'NotKnown'].every((each) => reasons.includes(each))
  })

  await it().serve('library', 'digits', spec(600))
  await it().eventually('the condition is gone', async () => {
    const { status } = await it().service('library', 'digits')
    return conditionOf(status?.conditions, 'Decentralized') === undefined
  })
  const { status } = await it().service('library', 'digits')
  expect(conditionOf(status?.conditions, 'PeersReady')).toBeDefined()
})

test('cost, peers, layers and status show a lease with its price', { timeout }, async () => {
  const { work, envelope, sequence } = await it().outgoing(
    'library',
    'Request',
    ({ spec: { work: asked } }) => asked.leaseSeconds === 600,
  )
  await it().taken(work, 'Request', sequence)
  const lease = { epoch: 2, attempt: 1, ttlSeconds: 600, incarnation: 0, price }
  await it().deliver(work, await it().says.answer(envelope, { decision: 'Granted', lease }))
  const report = { replicas: 3, readyReplicas: 3, gpuSeconds: 9000 }
  await it().deliver(work, await it().says.report(work.metadata.uid, 2, report))
  await it().eventually('the new state alone, with its price', async () => {
    const [status, ...others] = (await it().works('library')).map((each) => each.status)
    return others.length === 0 && status?.lease?.epoch === 2 && status.gpuSeconds === 9000
  })

  const money = JSON.parse((await hansa('cost', 'infer/digits', '-n', 'library', '-o', 'json')).stdout)
  expect(money.items).toEqual([
    expect.objectContaining({
      direction: 'Taken',
      peer: 'university',
      service: 'library/digits',
      price,
      gpus: 6,
      microsPerHour: 2_400_000,
      // 9000 GPU seconds at 0.40 EUR an hour.
      microsSoFar: 1_000_000,
    }),
  ])
  const table = await hansa('cost', '-A', '--month')
  expect(table.code).toBe(0)
  expect(table.stdout).toMatch(
    /^ +PEER +SERVICE +WORKERS +GPUS +PRICE\/GPU HOUR +PER HOUR +PER MONTH +GPU SECONDS +SO FAR\n/,
  )
  expect(table.stdout).toMatch(/^taken +university +library\/digits .* 0\.40 EUR .* 9000 +1\.00 EUR$/m)
  expect(table.stdout).toMatch(/^all taken +EUR /m)

  const peers = await hansa('peers')
  expect(peers.stdout).toMatch(/^university +university +True +True +None +- +- +1 +0 +no$/m)

  const layers = JSON.parse((await hansa('layers', 'digits', '-n', 'library', '-o', 'json')).stdout)
  expect(layers.layers.map(({ layer }: { layer: string }) => layer)).toEqual([
    'Compute',
    'Weights',
    'Control',
    'Ledger',
    'Training',
    'Governance',
  ])
  expect(layers.alternatives.map(({ name }: { name: string }) => name)).toEqual([
    'Now',
    'AllOwn',
    'CheapestPeer',
    'Over2',
  ])
  const tree = await hansa('status', 'infer/digits', '-n', 'library')
  expect(tree.stdout).toMatch(/\n {2}owner own: 0 of 0 ready in this cluster\n/)
  expect(tree.stdout).toMatch(/\n {2}owner university: 3 of 3 ready\n {4}[+] peer university: /)
})

test('where the strategy divides the workers, layers shows what each strategy would do', { timeout }, async () => {
  await it().serve('library', 'letters', {
    modelRef: { name: 'letters' },
    placement: { peers: [{ name: 'university', maxReplicas: 2 }] },
  })
  await it().client.patch(
    inferenceServices,
    { namespace: 'library', name: 'letters' },
    { status: { desiredReplicas: 3 } },
    { signal, subresource: 'status', fieldManager: 'test' },
  )
  const { alternatives } = JSON.parse((await hansa('layers', 'letters', '-n', 'library', '-o', 'json')).stdout)
  const cheapest = alternatives.find(({ name }: { name: string }) => name === 'Cheapest')
  expect(cheapest.places).toContainEqual({ owner: 'university', workers: 2 })
  expect(cheapest.perHour).toEqual([])
  expect(alternatives.map(({ name }: { name: string }) => name).slice(-4)).toEqual([
    'OwnFirst',
    'Cheapest',
    'Fastest',
    'MostResilient',
  ])
})

test('what is wrong with a command line is said with exit code 2, what is not there with 4', { timeout }, async () => {
  expect(await hansa('layers', 'pod/digits')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/NAME or infer\/NAME/),
  })
  expect(await hansa('cost', 'digits', '-A')).toMatchObject({ code: 2, stderr: expect.stringContaining('not both') })
  const absent = [hansa('layers', 'absent'), hansa('cost', 'absent'), hansa('status', 'infer/absent')]
  for (const each of await Promise.all(absent)) {
    expect(each).toMatchObject({ code: 4, stderr: expect.stringContaining('there is no InferenceService absent') })
  }
  expect((await it().client.list(inferenceServices, { namespace: 'library', signal })).items).toHaveLength(2)
})
