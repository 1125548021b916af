import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createApiClient } from '../../cluster/owner/api-request.ts'
import { type Owner, type PartName, startOwner } from '../../cluster/owner.ts'
import { eventually } from './eventually.ts'

let owner: Owner

beforeAll(async () => {
  owner = await startOwner({ name: 'stmary' })
})

afterAll(async () => {
  await owner?.stop()
})

const container = { name: 'main', image: 'registry.example/nothing' }

test('a Deployment gets its pods from the controller manager', async () => {
  const manifest = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } },
    },
  }
  const applied = await owner.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) })
  expect(applied).toMatchObject({ code: 0, stdout: 'deployment.apps/web created\n' })
  await eventually(async () => {
    const pods = await owner.kubectl(['get', 'pods', '-l', 'app=web', '-o', 'name'])
    expect(pods.stdout.trim().split('\n')).toHaveLength(2)
  })
})

test('the garbage collector removes what belonged to a deleted object', async () => {
  await owner.kubectl(['create', 'deployment', 'brief', '--image=registry.example/nothing'])
  await eventually(async () =>
    expect((await owner.kubectl(['get', 'pods', '-l', 'app=brief', '-o', 'name'])).stdout).toContain('pod/'),
  )
  await owner.kubectl(['delete', 'deployment', 'brief'])
  await eventually(async () =>
    expect((await owner.kubectl(['get', 'pods', '-l', 'app=brief', '-o', 'name'])).stdout).toBe(''),
  )
})

test('a namespace labelled restricted refuses a privileged pod', async () => {
  const metadata = { name: 'strict', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } }
  const path = '/api/v1/namespaces'
  expect((await owner.request({ method: 'POST', path, body: { metadata } })).status).toBe(201)
  const pod = {
    metadata: { name: 'bold' },
    spec: { serviceAccountName: 'default', containers: [{ ...container, securityContext: { privileged: true } }] },
  }
  await eventually(async () => {
    const answer = await owner.request({ method: 'POST', path: `${path}/strict/pods`, body: pod })
    expect(answer.status).toBe(403)
    expect(JSON.stringify(answer.body)).toContain('violates PodSecurity')
  })
})

test('a service account token passes a TokenReview for its audience and for no other', async () => {
  const token = await owner.createToken('default', 'default', { audience: 'gateway' })
  const review = (audience: string) =>
    owner.request({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { spec: { token, audiences: [audience] } },
    })
  expect(await review('gateway')).toMatchObject({
    body: { status: { authenticated: true, user: { username: 'system:serviceaccount:default:default' } } },
  })
  expect(await review('elsewhere')).not.toMatchObject({ body: { status: { authenticated: true } } })
})

test('the keys that verify tokens are published', async () => {
  const token = await owner.createToken('default', 'default')
  const discovery = await owner.request({ path: '/.well-known/openid-configuration' })
  expect(discovery.body).toMatchObject({
    issuer: 'https://kubernetes.default.svc',
    jwks_uri: `${owner.serverUrl}/openid/v1/jwks`,
  })
  const published = await owner.request({ path: '/openid/v1/jwks', token })
  expect(published.status, JSON.stringify(published)).toBe(200)
  const [jwk] = (published.body as { keys: JsonWebKey[] }).keys
  const [header, payload, signature = ''] = token.split('.')
  const key = createPublicKey({ key: jwk ?? {}, format: 'jwk' })
  expect(verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
})

test('kubectl acts as another user where asked to', async () => {
  const asked = await owner.kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'], { as: 'jane' })
  expect(asked).toMatchObject({ code: 0, stdout: 'jane' })
  const refused = await owner.kubectl(['get', 'secrets'], { as: 'jane' })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('User "jane" cannot list resource "secrets"')
})

test('helm reaches the cluster', async () => {
  expect(await owner.helm(['list', '-o', 'json'])).toMatchObject({ code: 0, stdout: expect.stringContaining('[]') })
})

const parts: PartName[] = ['apiserver', 'etcd', 'controllerManager', 'scheduler']

test.each(parts)('after kill -9 and a restart of %s nothing is lost', async (name) => {
  const path = '/api/v1/namespaces/default/configmaps'
  const body = { metadata: { name: `kept-${name.toLowerCase()}` }, data: { key: 'value' } }
  expect((await owner.request({ method: 'POST', path, body })).status).toBe(201)
  const part = owner.parts[name]
  const before = part.pid
  await part.kill()
  expect(part.running).toBe(false)
  await part.start()
  await owner.parts.apiserver.start() // waits until it has its etcd again
  expect(part.pid).not.toBe(before)
  const kept = await owner.request({ path: `${path}/${body.metadata.name}` })
  expect(kept).toMatchObject({ status: 200, body: { data: { key: 'value' } } })
})

test('each part stops and starts again', async () => {
  for (const part of Object.values(owner.parts)) {
    await part.restart()
    expect(part.running).toBe(true)
  }
  await eventually(async () => expect((await owner.request({ path: '/readyz' })).status).toBe(200))
})

test('a paused API server does not answer until it is resumed', async () => {
  const ask = () => owner.request({ path: '/api/v1/namespaces/default', timeoutMilliseconds: 1_000 })
  owner.parts.apiserver.pause()
  await expect(ask()).rejects.toThrow(/aborted|timeout/i)
  owner.parts.apiserver.resume()
  await eventually(async () => expect((await ask()).status).toBe(200))
})

test('after compaction and a restart the API server refuses an older version with 410', async () => {
  const path = '/api/v1/configmaps'
  const first = await owner.request({ path: `${path}?limit=1` })
  const { resourceVersion, continue: page } = (first.body as { metadata: Record<string, string> }).metadata
  const body = { metadata: { name: 'newer' } }
  await owner.request({ method: 'POST', path: '/api/v1/namespaces/default/configmaps', body })
  expect(await owner.etcdCompact()).toBeGreaterThan(BigInt(resourceVersion ?? 0))
  await owner.parts.apiserver.restart()
  const nextPage = await owner.request({ path: `${path}?limit=1&continue=${page}` })
  expect(nextPage).toMatchObject({ status: 410, body: { reason: 'Expired' } })
  const watch = await owner.request({ path: `${path}?watch=1&resourceVersion=${resourceVersion}&timeoutSeconds=1` })
  expect(watch).toMatchObject({ status: 200, body: { type: 'ERROR', object: { code: 410, reason: 'Expired' } } })
})

test('two owners side by side do not accept the credentials of one another', async () => {
  const other = await startOwner({
    name: 'university',
    nodePortRange: '31000-31099',
    serviceClusterIpRange: '10.97.0.0/16',
  })
  try {
    const path = '/api/v1/namespaces'
    const token = await owner.createToken('default', 'default')
    expect((await owner.request({ path: '/api', token })).status).toBe(200)
    expect((await other.request({ path: '/api', token })).status).toBe(401)

    const stranger = await owner.issueCertificate({ commonName: 'admin', organizations: ['system:masters'] })
    const atHome = createApiClient(owner.serverUrl, owner.caPem, stranger)
    expect((await atHome.send({ path })).status).toBe(200)
    const abroad = createApiClient(other.serverUrl, other.caPem, stranger)
    expect((await abroad.send({ path })).status).toBe(401)
    const misled = createApiClient(other.serverUrl, owner.caPem, stranger)
    await expect(misled.send({ path })).rejects.toThrow(/certificate/)
    await Promise.all([atHome.close(), abroad.close(), misled.close()])
  } finally {
    await other.stop()
  }
})
