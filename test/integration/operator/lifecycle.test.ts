import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Installation, startInstallation } from '../../cluster/hansa/installation.ts'
import { type Hands, startHands } from './hands.ts'
import { claim, copyModel, model, namespace, reader, service, tenant } from './objects.ts'

let folder = ''
let installation: Installation | undefined
let hands: Hands | undefined
const it = () => {
  if (hands === undefined) throw new Error('the installation did not start')
  return hands
}
const timeout = 300_000

/** A claim on a copy of an example's model; returns the file. */
async function claimed(name: string, example: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(path)
  const file = await copyModel(example, path)
  await it().apply(...claim(name, path))
  return file
}

const onClaim = (claimName: string) => ({ pvc: { claimName } })

/** Flips the last bit: the size stays. */
async function corrupt(file: string): Promise<void> {
  const bytes = await readFile(file)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(file, bytes)
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-lifecycle-'))
  installation = await startInstallation({
    name: 'lifecycle',
    nodes: 1,
    values: { 'operator.replicas': '1', 'gateway.replicas': '1' },
  })
  hands = await startHands(installation)
  await it().apply(...tenant(reader, 'guest'))
  await claimed('digits', 'digits/v1')
  // All that the tests need start together.
  await it().apply(
    await model('claimed', 'digits/v1', onClaim('digits')),
    await model('digits', 'digits/v1'),
    await model('elastic', 'digits/v1'),
    await model('digits-v2', 'digits/v2'),
    service('claimed', 'claimed'),
    service('digits', 'digits'),
    service('elastic', 'elastic', { scaling: { mode: 'External', holdSeconds: 0 }, replicas: 1 }),
  )
})
afterAll(async () => {
  await installation?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('a model on a claim is checked by a Job, then served', { timeout }, async () => {
  await it().becomes('model', 'claimed', 'Verified', 'True', 'Verified')
  const job = await it().kubectl(
    'get',
    'jobs',
    '-l',
    'hansa.dev/model=claimed',
    '-o',
    'jsonpath={.items[*].status.succeeded}',
  )
  expect(job).toBe('1')
  await it().ready('claimed')
  expect(await it().answers('claimed', 200)).toMatchObject({ digits: [it().digit] })
  expect(await it().events('model', 'claimed')).toContain('Normal Verified')
})

test('a claim with other bytes and one with a hostile model are refused, each with its reason', {
  timeout,
}, async () => {
  await corrupt(await claimed('changed', 'digits/v1'))
  await claimed('hostile', 'hostile')
  await it().apply(
    await model('changed', 'digits/v1', onClaim('changed')),
    await model('hostile', 'hostile', onClaim('hostile')),
    service('hostile', 'hostile'),
  )
  const changed = await it().becomes('model', 'changed', 'Verified', 'False', 'DigestMismatch')
  expect(changed.message).toContain('model.onnx')
  await it().becomes('model', 'hostile', 'Verified', 'False', 'ExternalDataRefused')
  const { message } = await it().becomes('inferenceservice', 'hostile', 'ModelVerified', 'False', 'ModelRejected')
  expect(message).toContain('ExternalDataRefused')
  expect(await it().children('hostile')).toEqual([])
  expect(await it().events('model', 'changed')).toContain('Warning DigestMismatch')
  expect(await it().events('model', 'hostile')).toContain('Warning ExternalDataRefused')
  expect(await it().events('inferenceservice', 'hostile')).toContain('Warning ModelRejected')
})

test('files that change on the claim are never served, and the service says so until they are back', {
  timeout,
}, async () => {
  await it().ready('claimed')
  const file = join(folder, 'digits/model.onnx')
  const good = await readFile(file)
  await corrupt(file)
  // The worker that runs has a copy of what was checked.
  expect(await it().ask('claimed')).toMatchObject({ status: 200, digits: [it().digit] })
  for (const { name } of await it().workers('claimed')) await it().kubectl('delete', 'pod', name)
  const rejected = await it().becomes('inferenceservice', 'claimed', 'ModelVerified', 'False', 'ModelRejected')
  expect(rejected.message).toMatch(/^DigestMismatch: .*model\.onnx/)
  expect(await it().answers('claimed', 503)).toMatchObject({ error: 'the service has no ready worker' })
  await it().becomes('inferenceservice', 'claimed', 'Ready', 'False', 'ModelRejected')
  expect(await it().events('inferenceservice', 'claimed')).toContain('Warning ModelRejected')
  await writeFile(file, good)
  for (const { name } of await it().workers('claimed')) await it().kubectl('delete', 'pod', name)
  await it().ready('claimed')
  expect(await it().answers('claimed', 200)).toMatchObject({ digits: [it().digit] })
})

test('a suspended service has no workers and refuses requests; resumed, it serves again', { timeout }, async () => {
  await it().ready('claimed')
  await it().patch('claimed', { suspend: true })
  for (const type of ['WorkersReady', 'Routable', 'Ready']) {
    await it().becomes('inferenceservice', 'claimed', type, 'False', 'Suspended')
  }
  await it().eventually('the workers are gone', async () =>
    (await it().workers('claimed')).length === 0 ? true : undefined,
  )
  expect(await it().answers('claimed', 503)).toMatchObject({ error: 'the service has no ready worker' })
  await it().becomes('inferenceservice', 'claimed', 'ModelVerified', 'True', 'Verified')
  expect(await it().events('inferenceservice', 'claimed')).toContain('Normal Suspended')
  await it().patch('claimed', { suspend: false })
  await it().ready('claimed')
  await it().answers('claimed', 200)
})

test('kubectl scale sets the workers in mode External, and is refused in mode Hansa', { timeout }, async () => {
  await it().ready('elastic')
  await it().kubectl('scale', 'inferenceservices.hansa.dev/elastic', '--replicas=2')
  const scale = () => it().kubectl('get', 'inferenceservices.hansa.dev', 'elastic', '--subresource=scale', '-o', 'json')
  await it().eventually('two workers are ready', async () => {
    const { readyReplicas } = (await it().ready('elastic')).status
    return readyReplicas === 2 ? true : undefined
  })
  const { spec, status } = JSON.parse(await scale())
  expect({ wanted: spec.replicas, ...status }).toEqual({
    wanted: 2,
    replicas: 2,
    selector: 'app.kubernetes.io/component=worker,hansa.dev/inference-service=elastic',
  })
  expect((await it().kubectl('get', 'pods', '-l', status.selector, '-o', 'name')).trim().split('\n')).toHaveLength(2)
  await it().kubectl('scale', 'inferenceservices.hansa.dev/elastic', '--replicas=0')
  await it().becomes('inferenceservice', 'elastic', 'Routable', 'True', 'ScaledToZero')
  await it().answers('elastic', 503)

  const before = (await it().seen('digits')).metadata.generation
  const refusal = await it().refusal('scale', 'inferenceservices.hansa.dev/digits', '--replicas=2')
  expect(refusal).toContain('in mode Hansa set scaling.minReplicas and scaling.maxReplicas')
  expect((await it().seen('digits')).metadata.generation).toBe(before)
})

test('children that somebody edits or deletes come back as they were', { timeout }, async () => {
  await it().ready('digits')
  const { revision = '' } = (await it().seen('digits')).status
  const children = [`deployment/digits-${revision}`, 'networkpolicy/digits-worker', 'serviceaccount/digits-worker']
  // What Hansa says of them: not what the API server counts, nor what another controller adds.
  const state = async () =>
    Promise.all(
      children.map(async (child) => {
        const { metadata, spec, automountServiceAccountToken } = JSON.parse(
          await it().kubectl('get', child, '-o', 'json'),
        )
        return { labels: metadata.labels, owners: metadata.ownerReferences, spec, automountServiceAccountToken }
      }),
    )
  const before = await state()
  const back = (what: string) => it().eventually(what, async () => expect(await state()).toEqual(before) ?? true)

  const patch = (child: string, body: object) =>
    it().kubectl('patch', child, '--type=merge', '-p', JSON.stringify(body))
  const [deployment = '', policy = '', account = ''] = children
  await patch(policy, { spec: { ingress: [{}], egress: [{}] } })
  await back('the opened NetworkPolicy is closed')
  await patch(policy, { spec: { podSelector: { matchLabels: { app: 'another' } } } })
  await back('the NetworkPolicy selects the workers again')
  await it().kubectl('label', policy, 'app.kubernetes.io/managed-by-')
  await back('the NetworkPolicy has its labels')
  await patch(account, { automountServiceAccountToken: true, metadata: { ownerReferences: null } })
  await back('the ServiceAccount mounts no token')
  await it().kubectl('set', 'image', deployment, 'serve=registry.example/other:1')
  await it().kubectl('scale', deployment, '--replicas=3')
  await back('the Deployment has its image and count')
  // The account first: a token that a starting pod got for a deleted one is worth nothing until the kubelet renews it.
  for (const child of [account, policy, deployment]) {
    await it().kubectl('delete', child)
    await back(`${child} is made anew`)
  }
  await it().ready('digits')
  expect(await it().answers('digits', 200)).toMatchObject({ digits: [it().digit] })
})

test('access is given and taken within seconds, with the workers as they are', { timeout }, async () => {
  await it().ready('digits')
  const workers = await it().workers('digits')
  const { latestRevision } = (await it().seen('digits')).status
  const allow = (...names: string[]) =>
    it().patch('digits', { access: { serviceAccounts: names.map((name) => ({ namespace: 'lifecycle', name })) } })
  expect(await it().ask('digits', 'guest')).toMatchObject({ status: 403 })
  await allow(reader, 'guest')
  await it().answers('digits', 200, 'guest')
  await allow(reader)
  await it().answers('digits', 403, 'guest')
  expect(await it().ask('digits')).toMatchObject({ status: 200 })
  expect((await it().ready('digits')).status.latestRevision).toBe(latestRevision)
  expect(await it().workers('digits')).toEqual(workers)
})

test('a key from the command line opens its service until it is revoked, and its AccessKey says how it stands', {
  timeout,
}, async () => {
  await it().ready('digits')
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await it().hansa(...args)
    return { code, stdout: stdout.trim(), stderr }
  }
  const made = await run('key', 'create', 'batch', '--service', 'digits', '--expires', '3d', '-n', namespace)
  expect(made.code).toBe(0)
  expect(made.stdout).toMatch(/^hansa_[0-9a-z]{16}_[A-Za-z0-9_-]{43}$/)
  expect((await run('key', 'create', 'batch', '--service', 'digits', '-n', namespace)).stderr).toContain('key rotate')
  const asked = (key: string) => it().eventually(`the key is judged`, async () => it().askWith(key, 'digits'))
  await it().eventually('the key opens the service', async () =>
    (await asked(made.stdout)).status === 200 ? true : undefined,
  )
  await it().becomes('accesskey', 'batch', 'Ready', 'True', 'ExpiresSoon')
  expect(await it().kubectl('get', 'accesskeys.hansa.dev', 'batch', '-o', 'yaml')).not.toContain(made.stdout.slice(-20))

  const rotated = await run('key', 'rotate', 'batch', '--grace', '0s', '-n', namespace)
  await it().eventually('the new secret counts', async () =>
    (await asked(rotated.stdout)).status === 200 ? true : undefined,
  )
  expect((await asked(made.stdout)).status).toBe(401)
  await it().becomes('accesskey', 'batch', 'Ready', 'True', 'Accepted')
  expect((await run('key', 'list', '-n', namespace)).stdout).toMatch(/batch +True +Accepted +digits +1 /)
  expect((await run('key', 'revoke', 'batch', '-n', namespace)).code).toBe(0)
  await it().eventually('the key is refused', async () =>
    (await asked(rotated.stdout)).status === 401 ? true : undefined,
  )
  expect((await run('key', 'revoke', 'batch', '-n', namespace)).code).toBe(4)
})

test('a service goes on without its Model, guarded as before, and knows a new one of the name', {
  timeout,
}, async () => {
  const { revision } = (await it().ready('digits')).status
  await it().kubectl('delete', 'models.hansa.dev', 'digits')
  await it().becomes('inferenceservice', 'digits', 'ModelVerified', 'False', 'ModelNotFound')
  await it().becomes('inferenceservice', 'digits', 'Routable', 'True', 'Routable')
  expect(await it().ask('digits')).toMatchObject({ status: 200, digits: [it().digit] })
  expect((await it().seen('digits')).status.revision).toBe(revision)
  await it().kubectl('delete', 'networkpolicy', 'digits-worker')
  await it().eventually('the NetworkPolicy is back', async () => it().kubectl('get', 'networkpolicy', 'digits-worker'))
  expect(await it().events('inferenceservice', 'digits')).toContain('Warning ModelNotFound')
  await it().apply(await model('digits', 'digits/v1'))
  await it().becomes('inferenceservice', 'digits', 'ModelVerified', 'True', 'Verified')
  await it().ready('digits')
  expect(await it().answers('digits', 200)).toMatchObject({ digits: [it().digit] })
  expect(await it().events('inferenceservice', 'digits')).toContain('Normal Ready')
})

test('a service that is deleted in the middle of a rollout leaves nothing', { timeout }, async () => {
  await it().ready('digits')
  await it().patch('digits', { modelRef: { name: 'digits-v2' } })
  await it().eventually('both revisions have workers', async () =>
    (await it().workers('digits')).length === 2 ? true : undefined,
  )
  const children = await it().children('digits')
  expect(children.filter((name) => name.startsWith('deployment'))).toHaveLength(2)
  await it().kubectl('delete', 'inferenceservices.hansa.dev', 'digits')
  await it().eventually('all children are gone', async () => expect(await it().children('digits')).toEqual([]) ?? true)
  expect(await it().refusal('get', 'serviceaccount', 'digits-worker')).toContain('NotFound')
  await it().answers('digits', 403)
})
