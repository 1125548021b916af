import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { Work } from '@hansa/operator/api/remote-work.ts'
import { startIdentity } from '@hansa/operator/identity/agent.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { spiffe } from '@hansa/operator/identity/tls.ts'
import { pods } from '@hansa/operator/kube/builtin.ts'
import { createClient } from '@hansa/operator/kube/client.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { isTrue } from '@hansa/operator/kube/conditions.ts'
import { guestWorks, sharePolicies } from '@hansa/operator/kube/hansa-resources.ts'
import { clusterFromKubeConfig } from '@hansa/operator/kube/kube-config.ts'
import type { Pod } from '@hansa/operator/kube/pod-types.ts'
import type { Live } from '@hansa/operator/kube/resource.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { sharePolicy, work } from '../../builders/work.ts'
import { hansa } from '../../cluster/hansa/hansa-cli.ts'
import { repository } from '../../cluster/hansa/images.ts'
import { type Installation, startInstallation, systemNamespace } from '../../cluster/hansa/installation.ts'
import { eventually } from '../../demo/wait.ts'
import { model } from '../../integration/operator/objects.ts'
import { openBlobLine } from './blob-line.ts'
import type { WorkerAddress } from './guest-load.ts'
import { joinRequester, type ScriptedRequester } from './scripted-requester.ts'

export const guestNamespace = 'guest-university'
export const drainTimeoutSeconds = 5
const { signal } = new AbortController()
const trustDomain = 'cluster.hansa'
const gpu = 'nvidia.com/gpu'

/** A guest that runs: what was granted, its pod, and how the gateway reaches it. */
export type Guest = { work: Live<GuestWork>; pod: Live<Pod>; worker: WorkerAddress }

/** An installation with one node of two GPUs that lends them to a scripted requester. */
export type Lender = {
  readonly installation: Installation
  readonly client: KubeClient
  readonly requester: ScriptedRequester
  /** The gateway's own identity, which workers let in. */
  readonly gateway: Identity
  /** Has the requester ask for a worker with one GPU, and waits until it serves. */
  lend(): Promise<Guest>
  /** Makes a pod of our own, of default priority, that wants a GPU. */
  claim(name: string): Promise<void>
  pod(namespace: string, name: string): Promise<Live<Pod> | undefined>
  work(guest: Guest): Promise<Live<GuestWork>>
  /** Deletes a pod of our own and waits until it is gone. */
  release(name: string): Promise<void>
  stop(): Promise<void>
}

export async function startLender(log: (line: string) => void = () => undefined): Promise<Lender> {
  const undo: (() => unknown)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const installation = await startInstallation({
      ...{ name: 'eviction', nodes: 1, gpusPerNode: 2, log },
      values: { 'operator.replicas': '1', 'gateway.replicas': '1' },
    })
    undo.push(installation.stop)
    const { owner } = installation
    const cluster = await clusterFromKubeConfig({ path: owner.kubeconfigPath })
    const client = createClient({ cluster, userAgent: 'guest-eviction' })
    undo.push(() => client.close())
    await hansa(owner, ['identity', 'create', 'main', '--owner', 'clinic'])
    const requester = await joinRequester(client)
    log('the requester is joined')
    const file = await readFile(join(repository, 'examples/models/digits/v1/model.onnx'))
    // The gateway hears of its peers a moment after they are written.
    const line = await eventually('the gateway takes the line', async () =>
      openBlobLine(requester.owner, requester.executor, installation.dataAddress ?? '', file),
    )
    undo.push(() => line.close())
    const gateway = await gatewayIdentity(installation, undo)
    await share(installation, client)
    undo.push(keepCalling(() => requester.courier(), log))
    const asked = await askedWork()
    const get = (namespace: string, name: string) => client.get(pods, { namespace, name }, { signal })
    return {
      installation,
      client,
      requester,
      gateway,
      stop,
      pod: get,
      lend: async () => running(client, await requester.ask(asked)),
      work: (guest) => reread(client, guest.work),
      claim: async (name) => {
        await client.create(pods, claimingPod(name), { signal })
      },
      release: async (name) => {
        await client.delete(pods, { namespace: 'default', name }, { signal })
        await eventually(`pod ${name} is gone`, async () => (await get('default', name)) === undefined || undefined)
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function gatewayIdentity(installation: Installation, undo: (() => unknown)[]): Promise<Identity> {
  const { owner, proxy } = installation
  const folder = await mkdtemp(join(tmpdir(), 'hansa-eviction-'))
  undo.push(() => rm(folder, { recursive: true }))
  const tokenFile = join(folder, 'token')
  await writeFile(tokenFile, await owner.createToken('hansa-gateway', systemNamespace, { audience: 'hansa-ca' }))
  const identity = await startIdentity({
    caUrl: `https://${proxy.addressOf(systemNamespace, 'hansa-operator')}:9443`,
    caPem: await installation.trustPem(),
    tokenFile,
    stateDir: join(folder, 'state'),
    log: createLogger('test', 'silent'),
    signal: AbortSignal.timeout(60_000),
  })
  undo.push(() => identity.close())
  return identity
}

async function share({ owner }: Installation, client: KubeClient): Promise<void> {
  const labels = { 'hansa.dev/guests': 'true', 'pod-security.kubernetes.io/enforce': 'restricted' }
  const quota = { [gpu]: '2', cpu: '4', memory: '8Gi' }
  const policy = sharePolicy('university', { targetNamespace: guestNamespace, quota, drainTimeoutSeconds })
  const items = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: guestNamespace, labels } },
    { ...policy, metadata: { name: policy.metadata.name } },
  ]
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  const { code, stderr } = await owner.kubectl(['apply', '-f', '-'], { input: list })
  if (code !== 0) throw new Error(stderr)
  await eventually('the SharePolicy is in force', async () => {
    const found = await client.get(sharePolicies, { name: policy.metadata.name }, { signal })
    return isTrue(found?.status?.conditions, 'Ready') || undefined
  })
}

async function askedWork(): Promise<Work> {
  // The manifest was made from an example's file just now.
  const { files } = (await model('digits', 'digits/v1')).spec as { files: Work['models'][number]['files'] }
  return work({
    models: [{ name: 'digits', format: 'ONNX', files, entrypoint: 'model.onnx', source: 'Requester' }],
    resources: { limits: { cpu: '500m', memory: '1Gi', [gpu]: '1' } },
  })
}

async function reread(client: KubeClient, { metadata }: Live<GuestWork>): Promise<Live<GuestWork>> {
  const found = await client.get(guestWorks, { namespace: systemNamespace, name: metadata.name }, { signal })
  if (found === undefined) throw new Error(`GuestWork ${metadata.name} is gone`)
  return found
}

async function running(client: KubeClient, asked: Live<GuestWork>): Promise<Guest> {
  let last = asked
  const options = { seconds: 180, everyMilliseconds: 200 }
  return eventually(
    `${asked.metadata.name} runs`,
    async () => {
      last = await reread(client, asked)
      const { decision, local, readyReplicas } = last.status ?? {}
      if (decision !== 'Granted' || local?.inferenceServiceName === undefined || readyReplicas !== 1) {
        throw new Error(JSON.stringify(last.status?.conditions ?? last.status))
      }
      const service = local.inferenceServiceName
      const labelSelector = `hansa.dev/inference-service=${service}`
      const { items } = await client.list(pods, { namespace: local.namespace, labelSelector, signal })
      const [pod] = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      const host = pod?.status?.podIP
      if (pod === undefined || host === undefined) return undefined
      const uri = spiffe(trustDomain, local.namespace, pod.spec.serviceAccountName ?? '')
      return { work: last, pod, worker: { host, uri, model: service } }
    },
    options,
  )
}

function claimingPod(name: string): Pod {
  const command = ['sh', '-c', 'exec sleep 100000']
  const resources = { limits: { [gpu]: '1' } }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image: 'ghcr.io/hansa-dev/operator', command, resources }],
    },
  }
}

function keepCalling(step: () => Promise<void>, log: (line: string) => void): () => Promise<void> {
  const stopping = new AbortController()
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      // Whatever failed, such as a GuestWork that was deleted meanwhile, is tried again.
      await step().catch((error: unknown) => log(`courier: ${String(error)}`))
      await sleep(250)
    }
  })()
  return () => {
    stopping.abort()
    return loop
  }
}
