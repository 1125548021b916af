import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { eventually } from '../cluster/eventually.ts'
import { chartFolder, releaseNamespace as namespace } from './render.ts'

let owner: Owner | undefined
const cluster = () => {
  if (owner === undefined) throw new Error('the control plane did not start')
  return owner
}

beforeAll(async () => {
  owner = await startOwner({ name: 'chart' })
  await restrictedNamespace(namespace)
  await helm('install', 'hansa', chartFolder)
})
afterAll(() => owner?.stop())

test('helm install makes every object, and says what to do next', async () => {
  const { stdout } = await cluster().helm(['status', 'hansa', '--namespace', namespace])
  expect(stdout).toContain('STATUS: deployed')
  expect(stdout).toContain(`kubectl --namespace ${namespace} get pods`)
  expect(stdout).toContain(`https://hansa-gateway.${namespace}.svc:8443/<namespace>/<service>/v2/...`)
  const names = await kubectl(
    ...[
      'get',
      'deployments,services,serviceaccounts,networkpolicies,roles,rolebindings',
      '-o',
      'name',
      '-n',
      namespace,
    ],
  )
  for (const process of ['operator', 'gateway', 'link', 'fetch']) {
    expect(names).toContain(`deployment.apps/hansa-${process}\n`)
    expect(names).toContain(`service/hansa-${process}\n`)
    expect(names).toContain(`serviceaccount/hansa-${process}\n`)
    expect(names).toContain(`networkpolicy.networking.k8s.io/hansa-${process}\n`)
  }
  const crds = (await kubectl('get', 'crds', '-o', 'name')).split('\n').filter((name) => name.endsWith('.hansa.dev'))
  expect(crds.map((name) => name.replace(/^.*\/(.*)\.hansa\.dev$/, '$1')).sort()).toEqual([
    ...['accesskeys', 'egresspolicies', 'guestworks', 'identities', 'inferenceservices', 'models', 'peers'],
    ...['remoteworks', 'sharepolicies'],
  ])
  await kubectl('wait', '--for=condition=Established', '--timeout=30s', ...crds)
  expect(await kubectl('get', 'priorityclass', 'hansa-guest', '-o', 'jsonpath={.value}')).toBe('-1000')
})

test('a namespace that enforces the restricted Pod Security Standard admits every pod', async () => {
  await eventually(async () => {
    const pods = await podNames(namespace)
    expect(pods.map((name) => (name === 'hansa-ledger-0' ? name : name.replace(/-[^-]+-[^-]+$/, ''))).sort()).toEqual([
      ...[
        'hansa-fetch',
        'hansa-gateway',
        'hansa-gateway',
        'hansa-ledger-0',
        'hansa-link',
        'hansa-operator',
        'hansa-operator',
      ],
    ])
  })
  expect(await replicaFailures(namespace)).toEqual([])
})

test('the same check notices a pod that is not restricted', async () => {
  await restrictedNamespace('loose')
  const rendered = await cluster().helm([
    ...['template', 'hansa', chartFolder, '--namespace', 'loose', '--show-only', 'templates/fetch.yaml'],
    ...['--set', 'fetch.localRoot.hostPath=/models'],
  ])
  const { code, stderr } = await cluster().kubectl(['apply', '-n', 'loose', '-f', '-'], { input: rendered.stdout })
  expect(stderr).toContain('restricted volume types (volume "local" uses restricted volume type "hostPath")')
  expect(code).toBe(0) // the Deployment is taken with a warning; its pods are not
  await kubectl('create', 'serviceaccount', 'hansa-fetch', '-n', 'loose')
  await eventually(async () => expect(await replicaFailures('loose')).toEqual(['hansa-fetch']), 30)
  expect(await podNames('loose')).toEqual([])
})

const operator = 'hansa-operator'
const gateway = 'hansa-gateway'
const link = 'hansa-link'
const fetch = 'hansa-fetch'

test.for([
  [operator, true, 'watch', 'inferenceservices.hansa.dev', { namespace: 'radiology' }],
  [operator, true, 'list', 'models.hansa.dev', {}],
  [operator, true, 'patch', 'inferenceservices.hansa.dev', { namespace: 'radiology', subresource: 'status' }],
  [operator, true, 'update', 'models.hansa.dev', { namespace: 'radiology', subresource: 'finalizers' }],
  [operator, true, 'create', 'deployments.apps', { namespace: 'radiology' }],
  [operator, true, 'patch', 'deployments.apps', { namespace: 'radiology' }],
  [operator, true, 'delete', 'deployments.apps', { namespace: 'radiology' }],
  [operator, true, 'create', 'serviceaccounts', { namespace: 'radiology' }],
  [operator, true, 'patch', 'networkpolicies.networking.k8s.io', { namespace: 'radiology' }],
  [operator, true, 'create', 'jobs.batch', { namespace: 'radiology' }],
  [operator, true, 'watch', 'pods', {}],
  [operator, true, 'create', 'events.events.k8s.io', { namespace: 'radiology' }],
  [operator, true, 'create', 'tokenreviews.authentication.k8s.io', {}],
  [operator, true, 'get', 'secrets', { namespace, name: 'hansa-ca' }],
  [operator, true, 'create', 'secrets', { namespace }],
  [operator, true, 'update', 'leases.coordination.k8s.io', { namespace, name: 'hansa-operator' }],
  [operator, true, 'patch', 'configmaps', { namespace, name: 'hansa-trust' }],
  [operator, false, 'update', 'inferenceservices.hansa.dev', { namespace: 'radiology' }],
  [operator, false, 'patch', 'accesskeys.hansa.dev', { namespace: 'radiology' }],
  [operator, false, 'create', 'pods', { namespace: 'radiology' }],
  [operator, false, 'create', 'pods', { namespace: 'radiology', subresource: 'exec' }],
  [operator, false, 'create', 'serviceaccounts', { namespace: 'radiology', subresource: 'token' }],
  [operator, false, 'get', 'secrets', { namespace: 'radiology', name: 'credentials' }],
  [operator, false, 'list', 'secrets', { namespace }],
  [operator, false, 'get', 'secrets', { namespace, name: 'other' }],
  [operator, false, 'update', 'secrets', { namespace, name: 'hansa-ca' }],
  [operator, false, 'delete', 'secrets', { namespace, name: 'hansa-ca' }],
  [operator, false, 'create', 'secrets', { namespace: 'radiology' }],
  [operator, false, 'get', 'configmaps', { namespace, name: 'other' }],
  [operator, false, 'delete', 'configmaps', { namespace }],
  [operator, false, 'update', 'leases.coordination.k8s.io', { namespace: 'kube-system', name: 'kube-scheduler' }],
  [operator, false, 'create', 'rolebindings.rbac.authorization.k8s.io', { namespace: 'radiology' }],
  [operator, false, 'impersonate', 'users', {}],
  [operator, false, 'delete', 'namespaces', { name: 'radiology' }],
  [gateway, true, 'watch', 'inferenceservices.hansa.dev', {}],
  [gateway, true, 'watch', 'pods', {}],
  [gateway, false, 'patch', 'inferenceservices.hansa.dev', { namespace: 'radiology', subresource: 'status' }],
  [gateway, false, 'get', 'secrets', { namespace, name: 'hansa-ca' }],
  [gateway, false, 'create', 'tokenreviews.authentication.k8s.io', {}],
  [gateway, false, 'list', 'models.hansa.dev', {}],
  [gateway, false, 'create', 'deployments.apps', { namespace: 'radiology' }],
  [gateway, true, 'watch', 'guestworks.hansa.dev', { namespace }],
  [gateway, false, 'watch', 'guestworks.hansa.dev', { namespace: 'radiology' }],
  [gateway, false, 'patch', 'peers.hansa.dev', { subresource: 'status' }],
  [link, true, 'watch', 'peers.hansa.dev', {}],
  [link, true, 'patch', 'remoteworks.hansa.dev', { namespace: 'radiology', subresource: 'status' }],
  [link, true, 'create', 'guestworks.hansa.dev', { namespace }],
  [link, false, 'create', 'guestworks.hansa.dev', { namespace: 'radiology' }],
  [link, false, 'patch', 'guestworks.hansa.dev', { namespace }],
  [link, false, 'delete', 'guestworks.hansa.dev', { namespace }],
  [link, false, 'create', 'remoteworks.hansa.dev', { namespace: 'radiology' }],
  [link, false, 'patch', 'peers.hansa.dev', {}],
  [link, false, 'get', 'secrets', { namespace, name: 'hansa-identities' }],
  [link, false, 'list', 'sharepolicies.hansa.dev', {}],
  [link, false, 'list', 'pods', {}],
  [fetch, false, 'list', 'models.hansa.dev', {}],
  [fetch, false, 'list', 'pods', {}],
  [fetch, false, 'get', 'secrets', { namespace, name: 'hansa-ca' }],
  [fetch, false, 'get', 'secrets', { namespace: 'radiology', name: 'credentials' }],
] as const)('%s: may is %s to %s %s %o', async ([account, allowed, verb, resource, where]) => {
  const [plural, ...group] = resource.split('.')
  const attributes = { verb, resource: plural, group: group.join('.'), ...where }
  expect(await may(account, { resourceAttributes: attributes })).toBe(allowed)
})

test('the gateway may read the keys of the token issuer, and no other path', async () => {
  const path = (name: string) => ({ nonResourceAttributes: { verb: 'get', path: name } })
  expect(await may(gateway, path('/openid/v1/jwks'))).toBe(true)
  expect(await may(gateway, path('/.well-known/openid-configuration'))).toBe(true)
  expect(await may(gateway, path('/metrics'))).toBe(false)
})

test('a namespace that binds the role for credentials lets fetch read its Secrets by name, and nobody else’s', async () => {
  await kubectl('create', 'namespace', 'library')
  await kubectl(
    ...['create', 'rolebinding', 'fetch', '-n', 'library', '--clusterrole=hansa-source-credentials'],
    `--serviceaccount=${namespace}:hansa-fetch`,
  )
  const secret = (verb: string, where: string) => ({
    resourceAttributes: { verb, resource: 'secrets', group: '', namespace: where, name: 'credentials' },
  })
  await eventually(async () => expect(await may(fetch, secret('get', 'library'))).toBe(true))
  expect(await may(fetch, secret('list', 'library'))).toBe(false)
  expect(await may(fetch, secret('get', 'radiology'))).toBe(false)
})

test('with its own token the operator makes the authority and publishes trust, and changes no ConfigMap of others', async () => {
  const token = await cluster().createToken(operator, namespace)
  const apply = (name: string) =>
    cluster().request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}/configmaps/${name}?fieldManager=hansa-operator&force=true`,
      contentType: 'application/apply-patch+yaml',
      token,
      body: {
        ...{ apiVersion: 'v1', kind: 'ConfigMap', data: { 'ca.pem': 'x' } },
        metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'hansa-operator' } },
      },
    })
  expect((await apply('hansa-trust')).status).toBe(201)
  expect((await apply('hansa-trust')).status).toBe(200)
  await kubectl('create', 'configmap', 'other', '-n', namespace)
  expect((await apply('other')).status).toBe(422)
  const secrets = `/api/v1/namespaces/${namespace}/secrets`
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hansa-ca' }, data: {} }
  expect((await cluster().request({ method: 'POST', path: secrets, token, body: secret })).status).toBe(201)
  expect((await cluster().request({ path: `${secrets}/hansa-ca`, token })).status).toBe(200)
  expect((await cluster().request({ path: secrets, token })).status).toBe(403)
})

test('whoever may edit a namespace may serve models there, whoever may view it may look at them', async () => {
  await kubectl('create', 'namespace', 'radiology')
  await kubectl('create', 'rolebinding', 'ada', '-n', 'radiology', '--clusterrole=edit', '--user=ada')
  await kubectl('create', 'rolebinding', 'bob', '-n', 'radiology', '--clusterrole=view', '--user=bob')
  const canI = async (user: string, verb: string, resource: string, ...more: string[]) =>
    (await cluster().kubectl(['auth', 'can-i', verb, resource, '-n', 'radiology', ...more], { as: user })).stdout.trim()
  // The controller manager aggregates roles a moment after their creation.
  await eventually(async () => expect(await canI('ada', 'create', 'inferenceservices.hansa.dev')).toBe('yes'))
  await eventually(async () => expect(await canI('bob', 'list', 'models.hansa.dev')).toBe('yes'))
  expect(await canI('ada', 'update', 'models.hansa.dev', '--subresource=status')).toBe('no')
  expect(await canI('bob', 'create', 'inferenceservices.hansa.dev')).toBe('no')
  expect(await canI('ada', 'create', 'inferenceservices.hansa.dev', '-n', 'library')).toBe('no')
})

test('an upgrade changes what its values change, and nothing else', async () => {
  const before = await generations()
  await helm('upgrade', 'hansa', chartFolder)
  expect(await generations()).toEqual(before)
  await helm('upgrade', 'hansa', chartFolder, '--reuse-values', '--set', 'gateway.replicas=3')
  const after = await generations()
  expect(after['hansa-gateway']).toBe((before['hansa-gateway'] ?? 0) + 1)
  expect({ ...after, 'hansa-gateway': before['hansa-gateway'] }).toEqual(before)
})

test('uninstalling leaves the definitions and what users declared, and a new installation takes them over', async () => {
  const model = {
    apiVersion: 'hansa.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: 'kept', namespace: 'radiology' },
    spec: {
      format: 'ONNX',
      source: { https: { url: 'https://models.example/kept/' } },
      files: [{ path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 1 }],
    },
  }
  const { code, stderr } = await cluster().kubectl(['create', '-f', '-'], { input: JSON.stringify(model) })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  await helm('uninstall', 'hansa', '--wait')
  expect(await kubectl('get', 'models', '-n', 'radiology', '-o', 'name')).toBe('model.hansa.dev/kept\n')
  expect(await kubectl('get', 'deployments', '-n', namespace, '-o', 'name')).toBe('')
  expect(await kubectl('get', 'clusterroles', '-o', 'name')).not.toContain('hansa')
  expect(await kubectl('get', 'secrets', '-n', namespace, '-o', 'name')).toContain('secret/hansa-ca')
  await helm('install', 'hansa', chartFolder)
  expect(await kubectl('get', 'models', '-n', 'radiology', '-o', 'name')).toBe('model.hansa.dev/kept\n')
})

async function restrictedNamespace(name: string): Promise<void> {
  await kubectl('create', 'namespace', name)
  const label = (mode: string) => `pod-security.kubernetes.io/${mode}=restricted`
  await kubectl('label', 'namespace', name, label('enforce'), label('warn'))
}

async function helm(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster().helm([...args, '--namespace', namespace])
  // Neither an error nor a warning of Pod Security, of a deprecated API or of an unknown field.
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

async function kubectl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster().kubectl(args)
  expect({ code, stderr: stderr.replace(/^No resources found.*\n/, '') }).toEqual({ code: 0, stderr: '' })
  return stdout
}

async function podNames(where: string): Promise<string[]> {
  const text = await kubectl('get', 'pods', '-n', where, '-o', 'jsonpath={.items[*].metadata.name}')
  return text.split(' ').filter((name) => name !== '')
}

const deploymentsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), generation: z.number() }),
      status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }),
    }),
  ),
})

async function deployments(where: string) {
  const json: unknown = JSON.parse(await kubectl('get', 'deployments', '-n', where, '-o', 'json'))
  return deploymentsSchema.parse(json).items
}

/** Deployments whose pods the API server does not take. */
async function replicaFailures(where: string): Promise<string[]> {
  return (await deployments(where))
    .filter(({ status }) =>
      status.conditions.some(({ type, status }) => type === 'ReplicaFailure' && status === 'True'),
    )
    .map(({ metadata }) => metadata.name)
}

async function generations(): Promise<Record<string, number>> {
  return Object.fromEntries((await deployments(namespace)).map(({ metadata }) => [metadata.name, metadata.generation]))
}

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean() }) })

/** Asks the API server as `kubectl auth can-i --as=system:serviceaccount:...` does. */
async function may(account: string, attributes: object): Promise<boolean> {
  const spec = {
    user: `system:serviceaccount:${namespace}:${account}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    ...attributes,
  }
  const { body } = await cluster().request({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec },
  })
  return reviewSchema.parse(body).status.allowed
}
