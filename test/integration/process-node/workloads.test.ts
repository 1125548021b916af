import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRunning } from '../../cluster/is-running.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'
import { type ProcessNode, startProcessNode } from '../../cluster/process-node/process-node.ts'
import { type ServiceProxy, startServiceProxy } from '../../cluster/service-proxy/service-proxy.ts'
import { eventually } from '../cluster/eventually.ts'
import { create, finished, images, isReady, podsOf, scriptPod } from './harness.ts'

let owner: Owner
let proxy: ServiceProxy
let nodes: readonly ProcessNode[] = []

beforeAll(async () => {
  owner = await startOwner({ name: 'workloads' })
  proxy = await startServiceProxy({ owner })
  const start = (name: string, gpus: string) =>
    startProcessNode({ owner, name, images, serviceProxy: proxy, capacity: { 'nvidia.com/gpu': gpus } })
  nodes = await Promise.all([start('node-a', '1'), start('node-b', '1')])
})

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()))
  await proxy?.stop()
  await owner?.stop()
})

function deployment(name: string, replicas: number, script: string, more: object = {}) {
  const { containers } = scriptPod(name, script).spec as { containers: [object] }
  return {
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ ...containers[0], ...more }] },
      },
    },
  }
}

async function ready(app: string, count: number): Promise<void> {
  await eventually(async () => {
    const pods = await podsOf(owner, app)
    expect(pods.map(isReady)).toEqual(Array(count).fill(true))
  }, 30)
}

function pidsOf(app: string): number[] {
  const pods = nodes.flatMap((node) => node.pods()).filter(({ name }) => name.startsWith(`${app}-`))
  return pods.flatMap(({ containers }) => containers.flatMap(({ pid }) => pid ?? []))
}

test('a deployment spreads over the nodes, scales, rolls over to a new version and goes away', async () => {
  await create(owner, deployment('fleet', 4, 'exec sleep 1000'))
  await ready('fleet', 4)
  const before = pidsOf('fleet')
  expect(before).toHaveLength(4)
  expect(new Set((await podsOf(owner, 'fleet')).map(({ spec }) => spec.nodeName)).size).toBe(2)

  await owner.kubectl(['scale', 'deployment/fleet', '--replicas=2'])
  await ready('fleet', 2)
  await eventually(() => expect(before.filter(isRunning)).toHaveLength(2))

  await owner.kubectl(['set', 'env', 'deployment/fleet', 'VERSION=2'])
  const rolled = await owner.kubectl(['rollout', 'status', 'deployment/fleet', '--timeout=30s'])
  expect(rolled.stdout).toContain('successfully rolled out')
  await eventually(() => expect(before.filter(isRunning)).toEqual([]))

  const last = pidsOf('fleet')
  await owner.kubectl(['delete', 'deployment', 'fleet'])
  await eventually(() => expect(last.filter(isRunning)).toEqual([]))
  await eventually(async () => expect(await podsOf(owner, 'fleet')).toEqual([]))
})

test('a killed container comes back in its pod, and a deleted pod is replaced', async () => {
  await create(owner, deployment('sturdy', 1, 'exec sleep 1000'))
  await ready('sturdy', 1)
  const [pod] = await podsOf(owner, 'sturdy')
  const name = pod?.metadata.name ?? ''
  const node = nodes.find((candidate) => candidate.name === pod?.spec.nodeName)
  expect(node?.killContainer('default', name, 'main')).toBe(true)
  await eventually(async () => {
    const [again] = await podsOf(owner, 'sturdy')
    const status = again?.status?.containerStatuses?.[0]
    expect(again?.metadata.name).toBe(name)
    expect(status?.restartCount).toBe(1)
    expect(status?.lastState.terminated).toMatchObject({ exitCode: 137, reason: 'Error' })
    expect(status?.ready).toBe(true)
  })
  await owner.kubectl(['delete', 'pod', name])
  await ready('sturdy', 1)
  expect((await podsOf(owner, 'sturdy'))[0]?.metadata.name).not.toBe(name)
  await owner.kubectl(['delete', 'deployment', 'sturdy'])
})

test('a job completes, and one that fails shows the exit code of its pod', async () => {
  const job = (name: string, script: string) => {
    const { metadata, spec } = scriptPod(name, script)
    return { kind: 'Job', metadata: { name }, spec: { backoffLimit: 0, template: { metadata, spec } } }
  }
  await create(owner, job('good', 'echo done'))
  await create(owner, job('bad', 'exit 42'))
  const complete = await owner.kubectl(['wait', '--for=condition=Complete', 'job/good', '--timeout=30s'])
  expect(complete.stdout).toContain('condition met')
  const failed = await owner.kubectl(['wait', '--for=condition=Failed', 'job/bad', '--timeout=30s'])
  expect(failed.stdout).toContain('condition met')
  const [pod] = await podsOf(owner, 'bad')
  expect(pod?.status?.containerStatuses?.[0]?.state.terminated?.exitCode).toBe(42)
})

test('a third pod that wants a GPU stays Pending while both are taken', async () => {
  const gpu = { resources: { limits: { 'nvidia.com/gpu': '1' } } }
  await create(owner, deployment('cuda', 3, 'exec sleep 1000', gpu))
  await eventually(async () => {
    const pods = await podsOf(owner, 'cuda')
    expect(pods.filter(isReady)).toHaveLength(2)
    const waiting = pods.find(({ spec }) => spec.nodeName === undefined)
    expect(waiting?.status?.conditions).toMatchObject([
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable' },
    ])
  })
  const labelled = await owner.kubectl(['get', 'nodes', '-l', 'hansa.dev/fake-gpu=true', '-o', 'name'])
  expect(labelled.stdout.trim().split('\n').sort()).toEqual(['node/node-a', 'node/node-b'])
  const [running] = (await podsOf(owner, 'cuda')).filter(isReady)
  await owner.kubectl(['scale', 'deployment/cuda', '--replicas=2'])
  await owner.kubectl(['delete', 'pod', running?.metadata.name ?? ''])
  await ready('cuda', 2)
  await owner.kubectl(['delete', 'deployment', 'cuda'])
})

const greeter = `require('http').createServer((q, s) => s.end(process.env.HOSTNAME)).listen(8080, process.env.POD_IP)`

function greeterDeployment(name: string, replicas: number) {
  return deployment(name, replicas, greeter, {
    image: 'test/node',
    ports: [{ name: 'http', containerPort: 8080 }],
    env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  })
}

test('a pod reaches the pods of a service by its cluster name, in turn, and by its node port', async () => {
  await create(owner, greeterDeployment('greeter', 2))
  await create(owner, {
    kind: 'Service',
    metadata: { name: 'greeter' },
    spec: { type: 'NodePort', selector: { app: 'greeter' }, ports: [{ port: 80, targetPort: 'http' }] },
  })
  await create(owner, {
    kind: 'Service',
    metadata: { name: 'greeter-pods' },
    spec: { clusterIP: 'None', selector: { app: 'greeter' }, ports: [{ port: 8080 }] },
  })
  await ready('greeter', 2)
  const names = (await podsOf(owner, 'greeter')).map(({ metadata }) => metadata.name).sort()
  const script = `
    const get = async (url) => (await fetch(url, { headers: { connection: 'close' } })).text()
    const urls = ['http://greeter', 'http://greeter.default', 'http://greeter.default.svc', 'http://greeter.default.svc.cluster.local']
    const seen = []
    for (const url of urls) seen.push(await get(url))
    const { promises } = await import('node:dns')
    const all = await promises.lookup('greeter-pods.default.svc', { all: true })
    console.log(JSON.stringify({ seen, headless: all.length }))`
  await create(
    owner,
    scriptPod('caller', '', {
      container: { image: 'test/node', command: ['node', '--input-type=module', '--eval', script], args: [] },
    }),
  )
  const { log } = await finished(owner, 'caller')
  const { seen, headless } = JSON.parse(log) as { seen: string[]; headless: number }
  expect(seen).toHaveLength(4)
  expect([...new Set(seen)].sort()).toEqual(names)
  expect(headless).toBe(2)

  const found = await owner.request({ path: '/api/v1/namespaces/default/services/greeter' })
  const { nodePort } = (found.body as { spec: { ports: [{ nodePort: number }] } }).spec.ports[0]
  expect(names).toContain(await (await fetch(`http://127.0.0.1:${nodePort}`)).text())
})

test('a service without ready pods resets connections and answers again when there is one', async () => {
  await create(owner, greeterDeployment('sleepy', 0))
  await create(owner, {
    kind: 'Service',
    metadata: { name: 'sleepy' },
    spec: { selector: { app: 'sleepy' }, ports: [{ port: 80, targetPort: 8080 }] },
  })
  const address = await eventually(() => {
    const found = proxy.addressOf('default', 'sleepy')
    expect(found).toBeDefined()
    return found ?? ''
  })
  await eventually(() => expect(fetch(`http://${address}`)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } }))
  await owner.kubectl(['scale', 'deployment/sleepy', '--replicas=1'])
  await eventually(async () => expect((await fetch(`http://${address}`)).status).toBe(200), 20)
})

test('a pod reaches the API server by its cluster name with its own token', async () => {
  const script = `
    import { readFileSync } from 'node:fs'
    import { request } from 'node:https'
    const dir = process.env.ACCOUNT
    const headers = { authorization: 'Bearer ' + readFileSync(dir + '/token', 'utf8') }
    const ca = readFileSync(dir + '/ca.crt')
    for (const host of ['kubernetes.default.svc', process.env.KUBERNETES_SERVICE_HOST]) {
      const port = host.includes('svc') ? 443 : process.env.KUBERNETES_SERVICE_PORT
      request({ host, port, path: '/api', ca, headers }, (answer) => console.log(answer.resume().statusCode)).end()
    }`
  await create(
    owner,
    scriptPod('client', '', {
      container: {
        image: 'test/node',
        command: ['node', '--input-type=module', '--eval', script],
        args: [],
        env: [{ name: 'ACCOUNT', value: '/var/run/secrets/kubernetes.io/serviceaccount' }],
      },
    }),
  )
  expect((await finished(owner, 'client')).log).toBe('200\n200\n')
})
