import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gatewaySettings } from '@hansa/operator/gateway/settings.ts'
import { startGateway } from '@hansa/operator/gateway/start.ts'
import { type Authority, createAuthority } from '@hansa/operator/identity/authority.ts'
import { issueCredentials } from '@hansa/operator/identity/memory-identity.ts'
import { storeCredentials } from '@hansa/operator/identity/stored-credentials.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { freePorts, releasePorts } from '../../cluster/ports.ts'
import { eventually } from '../cluster/eventually.ts'
import { startTestWorker, type TestWorker } from './test-worker.ts'

const trustDomain = 'real.hansa'
const workerAddress = '127.0.71.1'
const services = '/apis/hansa.dev/v1alpha1/namespaces/apps/inferenceservices'
const url = '/apps/digits/v2/models/digits/infer'

let owner: Owner
let authority: Authority
let worker: TestWorker
let gateway: { url: string; close(): Promise<void> }
let env: Record<string, string>
let dir: string
let agent: Agent
let ports: readonly number[]

async function created(path: string, body: unknown): Promise<void> {
  const answer = await owner.request({ method: 'POST', path, body })
  if (answer.status >= 300) throw new Error(`POST ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
}

async function merged(path: string, body: unknown): Promise<void> {
  const answer = await owner.request({ method: 'PATCH', path, body })
  if (answer.status >= 300) throw new Error(`PATCH ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
}

async function call(token: string | undefined): Promise<number> {
  const { statusCode, body } = await request(`${gateway.url}${url}`, {
    method: 'POST',
    body: '{"inputs":[]}',
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    dispatcher: agent,
  })
  await body.dump()
  return statusCode
}

const start = async () => {
  const log = pino({ level: 'silent' })
  gateway = await startGateway(gatewaySettings(env), { log, registry: new Registry() })
}

beforeAll(async () => {
  owner = await startOwner({ name: 'gateway' })
  dir = await mkdtemp(join(tmpdir(), 'hansa-real-gateway-'))
  authority = await createAuthority({ trustDomain })
  ports = await freePorts(3)
  const [gatewayPort = 0, probesPort = 0, workerPort = 0] = ports
  await owner.kubectl(['apply', '-f', resolve(import.meta.dirname, '../../../crds')])
  for (const namespace of ['hansa-system', 'apps']) {
    await created('/api/v1/namespaces', { metadata: { name: namespace } })
  }
  const accounts = [
    ['hansa-system', 'hansa-gateway'],
    ['apps', 'caller'],
    ['apps', 'stranger'],
  ]
  for (const [namespace, name] of accounts) {
    await created(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } })
  }
  // What the chart grants the gateway, and nothing more.
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  await created(`${rbac}/clusterroles`, {
    metadata: { name: 'hansa-gateway' },
    rules: [
      { apiGroups: ['hansa.dev'], resources: ['inferenceservices'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
    ],
  })
  await created(`${rbac}/clusterrolebindings`, {
    metadata: { name: 'hansa-gateway' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'hansa-gateway' },
    subjects: [{ kind: 'ServiceAccount', name: 'hansa-gateway', namespace: 'hansa-system' }],
  })
  await eventually(() =>
    created(services, {
      apiVersion: 'hansa.dev/v1alpha1',
      kind: 'InferenceService',
      metadata: { name: 'digits' },
      spec: { modelRef: { name: 'digits' }, access: { serviceAccounts: [{ namespace: 'apps', name: 'caller' }] } },
    }),
  )
  await merged(`${services}/digits/status`, { status: { traffic: [{ revision: 'r1', percent: 100 }] } })
  worker = await startTestWorker({
    authority,
    uri: spiffe(trustDomain, 'apps', 'digits-worker'),
    address: workerAddress,
    port: workerPort,
  })
  await created('/api/v1/namespaces/apps/pods', {
    metadata: {
      name: 'digits-r1-1',
      labels: {
        'app.kubernetes.io/component': 'worker',
        'app.kubernetes.io/managed-by': 'hansa',
        'hansa.dev/inference-service': 'digits',
        'hansa.dev/revision': 'r1',
      },
    },
    // A node that is not there: no kubelet interferes with the status below.
    spec: { nodeName: 'nowhere', containers: [{ name: 'worker', image: 'registry.example/worker' }] },
  })
  await merged('/api/v1/namespaces/apps/pods/digits-r1-1/status', {
    status: {
      phase: 'Running',
      podIP: workerAddress,
      podIPs: [{ ip: workerAddress }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  })
  const account = join(dir, 'account')
  await mkdir(account)
  await writeFile(join(account, 'token'), await owner.createToken('hansa-gateway', 'hansa-system'))
  await writeFile(join(account, 'ca.crt'), owner.caPem)
  await writeFile(join(account, 'namespace'), 'hansa-system')
  const names = [
    'hansa-gateway.hansa-system',
    'hansa-gateway.hansa-system.svc',
    'hansa-gateway.hansa-system.svc.cluster.local',
    '127.0.0.1',
  ]
  // As an earlier run leaves it; no operator is needed then.
  await storeCredentials(
    join(dir, 'state'),
    await issueCredentials(authority, spiffe(trustDomain, 'hansa-system', 'hansa-gateway'), { dnsNames: names }),
  )
  env = {
    POD_IP: '127.0.0.1',
    POD_NAMESPACE: 'hansa-system',
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: `${owner.apiserverPort}`,
    HANSA_SERVICE_ACCOUNT_DIR: account,
    HANSA_STATE_DIR: join(dir, 'state'),
    HANSA_TRUST_DOMAIN: trustDomain,
    HANSA_CA_URL: 'https://127.0.0.1:1',
    HANSA_CA_PEM: authority.caPem,
    HANSA_CA_TOKEN_FILE: join(account, 'token'),
    HANSA_GATEWAY_DNS_NAMES: '127.0.0.1',
    HANSA_GATEWAY_PORT: `${gatewayPort}`,
    HANSA_PROBES_PORT: `${probesPort}`,
    HANSA_WORKER_PORT: `${workerPort}`,
    HANSA_LAME_DUCK_SECONDS: '0',
    HANSA_DRAIN_SECONDS: '3',
  }
  agent = new Agent({ connect: { ca: authority.caPem }, allowH2: false })
  await start()
})

afterAll(async () => {
  await agent?.destroy()
  await gateway?.close()
  await worker?.kill()
  await owner?.stop()
  if (ports !== undefined) await releasePorts(ports)
  if (dir !== undefined) await rm(dir, { recursive: true, force: true })
})

test("the API server's own tokens let the listed account in and nobody else, also while it is down and after a restart", async () => {
  const token = await owner.createToken('caller', 'apps', { audience: 'hansa' })
  const later = await owner.createToken('caller', 'apps', { audience: 'hansa', seconds: 3000 })
  await eventually(async () => expect(await call(token)).toBe(200), 30)
  expect(await call(await owner.createToken('stranger', 'apps', { audience: 'hansa' }))).toBe(403)
  expect(await call(await owner.createToken('caller', 'apps'))).toBe(401)
  expect(await call(undefined)).toBe(401)

  await eventually(async () => {
    const saved = JSON.parse(await readFile(join(dir, 'state/routes.json'), 'utf8'))
    expect(saved.routes).toHaveLength(1)
  })
  await owner.parts.apiserver.stop()
  expect(await call(token)).toBe(200)
  await gateway.close()
  await start()
  expect(await call(token)).toBe(200)
  expect(await call(later)).toBe(200)
  expect(await call(undefined)).toBe(401)

  await owner.parts.apiserver.start()
  await merged(`${services}/digits`, { spec: { access: { serviceAccounts: [] } } })
  await eventually(async () => expect(await call(token)).toBe(403), 60)
}, 180_000)
