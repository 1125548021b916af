import { deploymentName, serviceLabels } from '@hansa/operator/inferenceservice/names.ts'
import { restricted, restrictedPod } from '@hansa/operator/inferenceservice/worker-pod.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { model as modelBuilder } from '../../builders/model.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from '../cluster/eventually.ts'
import { chartFolder, releaseNamespace } from './render.ts'

const namespace = 'radiology'
let owner: Owner
let token: string

beforeAll(async () => {
  owner = await startOwner({ name: 'admission' })
  await ok(owner.kubectl(['create', 'namespace', namespace]))
  await ok(owner.kubectl(['create', 'namespace', releaseNamespace]))
  await ok(owner.helm(['install', 'hansa', chartFolder, '--namespace', releaseNamespace]))
  token = await owner.createToken('hansa-operator', releaseNamespace)
  // The API server takes a policy up a moment after its creation.
  await eventually(async () => expect(await create(worker({ volumes: [secretVolume] }))).toMatchObject({ code: 422 }))
})
afterAll(() => owner?.stop())

const secretVolume = { name: 'x', secret: { secretName: 'passwords' } }

/** A Deployment as the operator makes it, with another pod or other labels. */
function worker(pod: object = {}, labels: object = serviceLabels('digits')) {
  const selector = serviceLabels('digits')
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: deploymentName('digits', '0a1b2c3d'), labels },
    spec: {
      selector: { matchLabels: selector },
      template: {
        metadata: { labels: selector },
        spec: {
          serviceAccountName: 'digits-worker',
          automountServiceAccountToken: false,
          securityContext: restrictedPod,
          containers: [container()],
          volumes: [projected('hansa-ca'), { name: 'tmp', emptyDir: {} }],
          ...pod,
        },
      },
    },
  }
}

function container(more: object = {}) {
  return { name: 'serve', image: 'worker', securityContext: restricted, ...more }
}

function projected(audience: string) {
  return { name: 'token', projected: { sources: [{ serviceAccountToken: { audience, path: 'token' } }] } }
}

/** What the API server says to the operator that would create it; nothing is kept. */
function create(object: object) {
  return send('POST', `/apis/apps/v1/namespaces/${namespace}/deployments?dryRun=All`, object)
}

const answerSchema = z.object({ message: z.string().default('') })

async function send(method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: object, as: string | undefined = token) {
  const { status, body: answer } = await owner.request({
    ...{ method, path },
    ...(as !== '' && { token: as }),
    ...(body !== undefined && { body }),
  })
  return { code: status, message: answerSchema.parse(answer).message }
}

test('the operator may make workers', async () => {
  expect(await create(worker())).toMatchObject({ code: 201 })
})

test.for([
  ['that mount a Secret', { volumes: [secretVolume] }, 'no Secret'],
  [
    'that mount a Secret among other sources',
    { volumes: [{ name: 'x', projected: { sources: [{ secret: { name: 'passwords' } }] } }] },
    'no Secret',
  ],
  ['that mount a folder of the node', { volumes: [{ name: 'x', hostPath: { path: '/' } }] }, 'no folder of the node'],
  ['with a token for the API server', { automountServiceAccountToken: true }, 'must not get a token'],
  ['without a word on tokens', { automountServiceAccountToken: null }, 'must not get a token'],
  [
    'with a token for the API server in a volume',
    { volumes: [projected('https://kubernetes.default.svc')] },
    'no Secret',
  ],
  [
    'with a variable out of a Secret',
    { containers: [container({ env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'passwords', key: 'x' } } }] })] },
    'from a Secret',
  ],
  [
    'with an environment out of a Secret, before they start',
    { initContainers: [container({ name: 'pull', envFrom: [{ secretRef: { name: 'passwords' } }] })] },
    'from a Secret',
  ],
  ['in the network of the node', { hostNetwork: true }, 'share a namespace'],
  ['that may be root', { securityContext: {} }, 'as root'],
  ['with capabilities', { containers: [container({ securityContext: {} })] }, 'capabilities'],
] as const)('the operator may not make pods %s', async ([, pod, message]) => {
  const refused = await create(worker(pod))
  expect(refused.code).toBe(422)
  expect(refused.message).toContain(message)
})

test('the operator may change and delete only what it made', async () => {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
  const own = await send('POST', path, { ...worker(), metadata: { name: 'own', labels: serviceLabels('digits') } })
  const theirs = await send('POST', path, { ...worker({}, {}), metadata: { name: 'theirs' } }, '')
  expect([own.code, theirs.code]).toEqual([201, 201])
  const image = { spec: { template: { spec: { terminationGracePeriodSeconds: 5 } } } }
  expect(await send('PATCH', `${path}/own`, image)).toMatchObject({ code: 200 })
  const changed = await send('PATCH', `${path}/theirs`, image)
  expect(changed.code).toBe(422)
  expect(changed.message).toContain('only what it made')
  expect(await send('DELETE', `${path}/theirs`)).toMatchObject({ code: 422 })
  expect(await send('DELETE', `${path}/own`)).toMatchObject({ code: 200 })
  expect((await create(worker({}, {}))).message).toContain('must label what it makes')
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`
  expect(await send('PATCH', account, { automountServiceAccountToken: true })).toMatchObject({ code: 422 })
})

test.for([
  ['Model', 'hansa.dev/v1alpha1', { spec: modelBuilder('theirs').spec }],
  ['InferenceService', 'hansa.dev/v1alpha1', { spec: { modelRef: { name: 'digits' } } }],
  ['ConfigMap', 'v1', { data: { a: 'b' } }],
] as const)('the operator may not change, take or delete what users made: %s', async ([kind, apiVersion, body]) => {
  const path = `/${apiVersion === 'v1' ? 'api' : 'apis'}/${apiVersion}/namespaces/${namespace}/${kind.toLowerCase()}s`
  const theirs = { apiVersion, kind, metadata: { name: 'theirs' }, ...body }
  expect(await send('POST', path, theirs, '')).toMatchObject({ code: 201 })
  for (const metadata of [{ annotations: { a: 'b' } }, { labels: serviceLabels('digits') }]) {
    const refused = await send('PATCH', `${path}/theirs`, { metadata })
    expect(refused.code).toBe(422)
    expect(refused.message).toContain('only what it made')
    expect(await send('PATCH', `${path}/theirs?dryRun=All`, { metadata }, '')).toMatchObject({ code: 200 })
  }
  // RBAC has it delete no ConfigMap at all.
  expect(await send('DELETE', `${path}/theirs`)).toMatchObject({ code: kind === 'ConfigMap' ? 403 : 422 })
})

test('the API server finds no fault in their expressions', async () => {
  const schema = z.object({ items: z.array(z.object({ status: z.object({ typeChecking: z.unknown() }).optional() })) })
  const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies'
  await eventually(async () => {
    const { items } = schema.parse((await owner.request({ path })).body)
    expect(items.map(({ status }) => status?.typeChecking)).toEqual([{}, {}, {}])
  })
})

test('the policies bind nobody else', async () => {
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments?dryRun=All`
  expect(await send('POST', path, worker({ volumes: [secretVolume] }, {}), '')).toMatchObject({ code: 201 })
})

async function ok(running: Promise<{ code: number; stderr: string }>): Promise<void> {
  const { code, stderr } = await running
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
}
