import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Assets, ensureAssets } from './assets.ts'
import type { Cluster } from './cluster.ts'
import { createApiClient } from './owner/api-request.ts'
import type { CertificateRequest, KeyAndCertificate } from './owner/certificates.ts'
import { clusterTools } from './owner/cluster-tools.ts'
import { compactEtcd } from './owner/etcd-compact.ts'
import {
  apiserverFlags,
  controllerManagerFlags,
  etcdFlags,
  etcdUrl,
  type OwnerPorts,
  schedulerFlags,
} from './owner/flags.ts'
import { type OwnerFolder, prepareFolder } from './owner/folder.ts'
import { definePart, type Part } from './owner/part.ts'
import { answersOk, defaultNamespaceReady } from './owner/ready.ts'
import { firstAddress } from './owner/service-range.ts'
import { freePorts, releasePorts } from './ports.ts'
import { removeFolderOnDeath } from './tethered-process.ts'

export type PartName = 'apiserver' | 'etcd' | 'controllerManager' | 'scheduler'

/** The control plane of one owner: plain processes on this machine, with a certificate authority of their own. */
export interface Owner extends Cluster {
  readonly parts: Readonly<Record<PartName, Part>>
  readonly apiserverPort: number
  /** Keys, certificates, kubeconfigs, etcd's data and the logs. */
  readonly dir: string
  readonly serviceClusterIpRange: string
  readonly nodePortRange: string
  /** The authority of the certificate that the API server shows to aggregated API servers. */
  readonly frontProxyCaPem: string
  /** Issues a certificate of this owner's authority, such as a node's. */
  issueCertificate(request: CertificateRequest): Promise<KeyAndCertificate>
  /**
   * Makes etcd forget its history and returns the revision that it kept. Reads of older versions are then refused with 410,
   * except those that the API server's watch cache can answer: restart it too, or start it with `--watch-cache=false`.
   */
  etcdCompact(): Promise<bigint>
}

export interface OwnerOptions {
  readonly name: string
  /** Default: a new folder in the system's temporary folder. Either is removed by `stop`. */
  readonly dir?: string
  readonly assets?: Assets
  readonly log?: (line: string) => void
  /** Gives up starting; an owner that has started is not affected. */
  readonly signal?: AbortSignal
  /** Default 30000-32767; owners side by side whose NodePorts shall be reachable need ranges apart. */
  readonly nodePortRange?: string
  readonly serviceClusterIpRange?: string
  /** More flags of a part; later ones win. */
  readonly flags?: Partial<Record<PartName, readonly string[]>>
}

/** Starts the control plane of one owner and resolves when pods can be created in it. */
export async function startOwner(options: OwnerOptions): Promise<Owner> {
  const { name, log = () => undefined, signal } = options
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)) throw new Error(`owner name ${name} must be a DNS label`)
  const assets = options.assets ?? (await ensureAssets({ onProgress: log, ...(signal ? { signal } : {}) }))
  const nodePortRange = options.nodePortRange ?? '30000-32767'
  const serviceClusterIpRange = options.serviceClusterIpRange ?? '10.96.0.0/16'

  const began = performance.now()
  const dir = options.dir ? resolve(options.dir) : await mkdtemp(join(tmpdir(), `hansa-${name}-`))
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const keepFolder = removeFolderOnDeath(dir)
  const ports = await ownerPorts()
  const serverUrl = `https://127.0.0.1:${ports.apiserver}`
  const apiServiceAddress = firstAddress(serviceClusterIpRange)
  const folder = await prepareFolder(dir, { name, serverUrl, apiServiceAddress })
  const client = createApiClient(serverUrl, folder.authority.certPem, folder.admin)
  const parts = defineParts(folder, ports, assets, { ...options, nodePortRange, serviceClusterIpRange })

  async function stop(): Promise<void> {
    // The API server first: without etcd it would wait for it instead of ending.
    await Promise.all([parts.controllerManager.stop(3_000), parts.scheduler.stop(3_000), parts.apiserver.stop(3_000)])
    await parts.etcd.stop()
    await client.close()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    keepFolder()
    releasePorts(Object.values(ports))
  }

  try {
    log(`${name}: starting etcd and the API server on ${serverUrl}`)
    await Promise.all([parts.etcd.start(), parts.apiserver.start()])
    signal?.throwIfAborted()
    log(`${name}: starting the controller manager and the scheduler`)
    await Promise.all([parts.controllerManager.start(), parts.scheduler.start(), defaultNamespaceReady(client)])
    signal?.throwIfAborted()
  } catch (error) {
    await stop()
    throw error
  }
  log(`${name}: ready after ${((performance.now() - began) / 1_000).toFixed(1)} s`)

  const kubeconfigPath = folder.file('admin.kubeconfig')
  return {
    name,
    dir,
    parts,
    serverUrl,
    kubeconfigPath,
    nodePortRange,
    serviceClusterIpRange,
    caPem: folder.authority.certPem,
    frontProxyCaPem: folder.frontProxyCaPem,
    apiserverPort: ports.apiserver,
    ...clusterTools({ kubectl: assets.kubectl, helm: assets.helm, kubeconfigPath, home: folder.file('home'), client }),
    issueCertificate: (request) => folder.authority.issue(request),
    etcdCompact: () => compactEtcd({ url: etcdUrl(ports), caPem: folder.etcdCaPem, ...folder.etcdClient }),
    stop,
  }
}

async function ownerPorts(): Promise<OwnerPorts> {
  const [apiserver = 0, etcd = 0, etcdPeer = 0, controllerManager = 0, scheduler = 0] = await freePorts(5)
  return { apiserver, etcd, etcdPeer, controllerManager, scheduler }
}

function defineParts(
  folder: OwnerFolder,
  ports: OwnerPorts,
  assets: Assets,
  options: OwnerOptions & { nodePortRange: string; serviceClusterIpRange: string },
): Record<PartName, Part> {
  const define = (name: PartName, command: string, args: string[], isReady: () => Promise<boolean>) =>
    definePart({
      name,
      command,
      args: [...args, ...(options.flags?.[name] ?? [])],
      logPath: folder.file(`logs/${name}.log`),
      isReady,
      onLoss: (how) => options.log?.(`${options.name}: ${name} ended by itself: ${how}`),
      // etcd waits seven seconds for watchers that never leave, and loses nothing when it is killed.
      ...(name === 'etcd' ? { graceMilliseconds: 2_000 } : {}),
    })
  const { etcdClient, etcdCaPem, authority } = folder
  const answers = (port: number, path: string) => () =>
    answersOk(`https://127.0.0.1:${port}${path}`, { ca: authority.certPem })
  const etcdTrust = { ca: etcdCaPem, cert: etcdClient.certPem, key: etcdClient.keyPem }
  return {
    etcd: define('etcd', assets.etcd, etcdFlags(folder, ports), () => answersOk(`${etcdUrl(ports)}/readyz`, etcdTrust)),
    apiserver: define(
      'apiserver',
      assets.kubeApiserver,
      apiserverFlags(folder, ports, options),
      answers(ports.apiserver, '/readyz'),
    ),
    controllerManager: define(
      'controllerManager',
      assets.kubeControllerManager,
      controllerManagerFlags(folder, ports),
      answers(ports.controllerManager, '/healthz'),
    ),
    scheduler: define(
      'scheduler',
      assets.kubeScheduler,
      schedulerFlags(folder, ports),
      answers(ports.scheduler, '/readyz'),
    ),
  }
}
