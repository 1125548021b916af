import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Owner } from '../owner.ts'
import { removeFolderOnDeath } from '../tethered-process.ts'
import { claimAddressBlock } from './address-block.ts'
import { createEventWriter } from './events.ts'
import type { ImageMap } from './image-map.ts'
import { createKubeClient } from './kube-client.ts'
import { startKubeletServer } from './kubelet-server.ts'
import { openPidFile } from './leftovers.ts'
import { runNodeObject, type Taint } from './node-object.ts'
import { createObjectCache } from './object-cache.ts'
import { createPodSet } from './pod-set.ts'

export type { Image, ImageMap } from './image-map.ts'
export type { Taint } from './node-object.ts'

export interface ProcessNodeOptions {
  readonly owner: Pick<Owner, 'serverUrl' | 'caPem' | 'issueCertificate'>
  readonly name: string
  /** Default: 8 CPUs, 16 GiB, 110 pods, no GPU. */
  readonly capacity?: { cpu?: string; memory?: string; pods?: string; 'nvidia.com/gpu'?: string }
  readonly labels?: Readonly<Record<string, string>>
  readonly taints?: readonly Taint[]
  readonly images: ImageMap
  /** Default: a new folder that `stop` removes. A given one is kept, so that a later node of this name goes on there. */
  readonly dir?: string
  readonly log?: (line: string) => void
  /** Lets containers reach Services by name, see service-proxy. */
  readonly serviceProxy?: { hostsFileFor(node: string): string }
  /** What containers take for the API server, such as a fault proxy; default: the owner's own URL. */
  readonly podServerUrl?: string
  /** Default 10, as a kubelet's. */
  readonly heartbeatSeconds?: number
}

export interface RunningContainer {
  readonly name: string
  /** Undefined while it does not run. */
  readonly pid: number | undefined
}

export interface RunningPod {
  readonly namespace: string
  readonly name: string
  readonly containers: readonly RunningContainer[]
}

/** A Kubernetes node whose containers are processes of this machine. */
export interface ProcessNode {
  readonly name: string
  readonly address: string
  readonly dir: string
  pods(): RunningPod[]
  /** Sends a signal to a container's process; SIGKILL goes to its children too. False where it does not run. */
  killContainer(namespace: string, pod: string, container: string, signal?: NodeJS.Signals): boolean
  /** Cuts the node off from the API server, both ways; its containers go on. */
  freeze(): void
  thaw(): void
  /** As a power cut: every process is killed, nothing is reported. Keeps a given `dir`. */
  crash(): Promise<void>
  /** Ends all processes, with two seconds to do so; the Node and its pods stay in the API as of a machine switched off. */
  stop(): Promise<void>
}

const stopGraceSeconds = 2
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const ownPath = fileURLToPath(new URL('../../../node_modules/.bin', import.meta.url))
const dnsPreload = new URL('../service-proxy/dns-preload.ts', import.meta.url)

/** Joins a node to an owner's cluster and resolves when pods can be scheduled to it. */
export async function startProcessNode(options: ProcessNodeOptions): Promise<ProcessNode> {
  const { owner, name, serviceProxy, log = () => undefined } = options
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), `hansa-node-${name}-`)))
  await mkdir(join(dir, 'pods'), { recursive: true, mode: 0o700 })
  const keepFolder = options.dir === undefined ? removeFolderOnDeath(dir) : undefined
  const pids = await openPidFile(dir, log)
  const addresses = await claimAddressBlock('pods')
  const identity = await owner.issueCertificate({
    commonName: `system:node:${name}`,
    organizations: ['system:nodes'],
    dnsNames: [name],
    ipAddresses: [addresses.own],
  })
  const { serverUrl, caPem } = owner
  const client = createKubeClient({ serverUrl, caPem, credential: identity, userAgent: `hansa-process-node/${name}` })
  const objects = createObjectCache(client, log)
  const capacity = capacityOf(options)
  const end = new AbortController()
  const pods = createPodSet({
    client,
    objects,
    addresses,
    images: options.images,
    allocatable: capacity,
    emit: createEventWriter(client, name),
    folder: join(dir, 'pods'),
    environment: baseEnvironment(options),
    nodeOptions: serviceProxy ? `--import=${dnsPreload.href}` : undefined,
    // A process that is not on record still dies with us.
    onProcess: (pid) => pids.record(pid).catch((error) => log(`pid file: ${messageOf(error)}`)),
    log,
  })
  const server = await startKubeletServer({
    address: addresses.own,
    caPem,
    credential: identity,
    findLog: pods.findLog,
  })

  async function shutDown(graceSeconds: number, removeFolder: boolean): Promise<void> {
    end.abort()
    // Lest a pod that is being started waits for an answer.
    client.setOffline(true)
    await pods.shutdown(graceSeconds)
    objects.close()
    client.close()
    await Promise.all([server.close(), addresses.close()])
    if (removeFolder && options.dir === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    keepFolder?.()
  }

  try {
    await runNodeObject({
      client,
      name,
      address: addresses.own,
      kubeletPort: server.port,
      capacity,
      labels: { ...(capacity['nvidia.com/gpu'] ? { 'hansa.dev/fake-gpu': 'true' } : {}), ...options.labels },
      taints: options.taints ?? [],
      heartbeatSeconds: options.heartbeatSeconds ?? 10,
      signal: end.signal,
      log,
    })
  } catch (error) {
    await shutDown(0, true)
    throw error
  }
  pods.watch(name, end.signal)
  log(`node ${name} is ready at ${addresses.own}`)

  return {
    name,
    dir,
    address: addresses.own,
    pods: pods.list,
    killContainer: pods.kill,
    freeze() {
      client.setOffline(true)
      server.setOffline(true)
    },
    thaw() {
      client.setOffline(false)
      server.setOffline(false)
    },
    async crash() {
      client.setOffline(true)
      pods.killAll()
      await shutDown(0, true)
    },
    stop: () => shutDown(stopGraceSeconds, true),
  }
}

function capacityOf({ capacity = {} }: ProcessNodeOptions): Record<string, string> {
  const gpus = capacity['nvidia.com/gpu']
  return {
    cpu: capacity.cpu ?? '8',
    memory: capacity.memory ?? '16Gi',
    pods: capacity.pods ?? '110',
    'ephemeral-storage': '100Gi',
    ...(gpus === undefined || gpus === '0' ? {} : { 'nvidia.com/gpu': gpus }),
  }
}

function baseEnvironment({ owner, name, podServerUrl, serviceProxy }: ProcessNodeOptions): Record<string, string> {
  const server = new URL(podServerUrl ?? owner.serverUrl)
  const port = server.port || '443'
  return {
    PATH: `${ownPath}:${systemPath}`,
    KUBERNETES_SERVICE_HOST: server.hostname,
    KUBERNETES_SERVICE_PORT: port,
    KUBERNETES_SERVICE_PORT_HTTPS: port,
    ...(serviceProxy ? { HANSA_TEST_HOSTS_FILE: serviceProxy.hostsFileFor(name) } : {}),
  }
}
