import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Owner } from '../owner.ts'
import { type AddressBlock, claimAddressBlock } from '../process-node/address-block.ts'
import { createKubeClient } from '../process-node/kube-client.ts'
import { namespaceOf, type Pod } from '../process-node/kube-types.ts'
import { type ReflectorHandlers, runReflector } from '../process-node/reflector.ts'
import { removeFolderOnDeath } from '../tethered-process.ts'
import { backendsOf, type Service, type ServicePort, targetAt } from './backends.ts'
import type { Target } from './forwarder.ts'
import { createHostsFile, type HostsFile } from './hosts-file.ts'
import { createListeners } from './listeners.ts'

export interface ServiceProxyOptions {
  readonly owner: Pick<Owner, 'serverUrl' | 'caPem' | 'issueCertificate' | 'apiserverPort'>
  readonly log?: (line: string) => void
}

/** Stands for kube-proxy and the cluster's DNS where nodes are process nodes. */
export interface ServiceProxy {
  /**
   * JSON: lists of addresses by `name.ns`, `name.ns.svc` and `name.ns.svc.cluster.local`, as the pods of a node see them: a Service
   * with `internalTrafficPolicy: Local` has an address of its own on each node, since callers cannot be told apart by theirs, and
   * leads to that node's pods alone.
   */
  hostsFileFor(node: string): string
  /** The loopback address of a service; undefined while it has none. */
  addressOf(namespace: string, name: string): string | undefined
  stop(): Promise<void>
}

/** Starts forwarding for all services of an owner's cluster; resolves when those that exist are served. */
export async function startServiceProxy(options: ServiceProxyOptions): Promise<ServiceProxy> {
  const { owner, log = () => undefined } = options
  const dir = await mkdtemp(join(tmpdir(), 'hansa-services-'))
  const keepFolder = removeFolderOnDeath(dir)
  const addresses = await claimAddressBlock('services')
  const credential = await owner.issueCertificate({
    commonName: 'hansa-service-proxy',
    organizations: ['system:masters'],
  })
  const client = createKubeClient({ ...owner, credential, userAgent: 'hansa-service-proxy' })
  const pods = new Map<string, Pod>()
  const services = new Map<string, Service>()
  const held = new Map<string, string>()
  const hostsOfNodes = new Map<string, HostsFile>()
  const listeners = createListeners(log)
  const end = new AbortController()

  function targetsOf(uid: string, port: ServicePort, node?: string): Target[] {
    const service = services.get(uid)
    if (!service) return []
    if (isApiService(service)) return [{ host: '127.0.0.1', port: owner.apiserverPort }]
    return backendsOf(service, pods.values())
      .filter(({ spec }) => node === undefined || spec.nodeName === node)
      .flatMap((pod) => targetAt(pod, port) ?? [])
  }

  function addressFor(key: string): string {
    const address = held.get(key) ?? addresses.take()
    held.set(key, address)
    return address
  }

  async function sync(): Promise<void> {
    const wanted = new Map<string, { at: Target; targets: () => Target[] }>()
    const names = new Map<string, readonly string[]>()
    const localNames = new Map([...hostsOfNodes.keys()].map((node) => [node, new Map<string, readonly string[]>()]))
    giveBack(held, services, addresses)
    for (const [uid, service] of services) {
      const { type, selector, clusterIP, ports = [] } = service.spec
      if (type === 'ExternalName' || (!selector && !isApiService(service))) continue
      const name = `${service.metadata.name}.${namespaceOf(service)}`
      if (clusterIP === 'None') {
        names.set(
          name,
          backendsOf(service, pods.values()).flatMap(({ status }) => status?.podIP ?? []),
        )
        continue
      }
      const address = addressFor(uid)
      names.set(name, [address])
      const local = service.spec.internalTrafficPolicy === 'Local' ? localNames : []
      for (const port of ports.filter(({ protocol = 'TCP' }) => protocol === 'TCP')) {
        for (const [node, seen] of local) {
          const host = addressFor(`${uid}@${node}`)
          seen.set(name, [host])
          const targets = () => targetsOf(uid, port, node)
          wanted.set(`${uid}/${host}:${port.port}/${port.targetPort}`, { at: { host, port: port.port }, targets })
        }
        const targets = () => targetsOf(uid, port)
        const open = (at: Target) => wanted.set(`${uid}/${at.host}:${at.port}/${port.targetPort}`, { at, targets })
        open({ host: address, port: port.port })
        if (port.nodePort !== undefined) open({ host: '127.0.0.1', port: port.nodePort })
      }
    }
    await listeners.set(wanted)
    for (const [node, file] of hostsOfNodes) await file.write(new Map([...names, ...(localNames.get(node) ?? [])]))
  }

  let syncing: Promise<void> | undefined
  let again = false
  const listed = new Set<unknown>()
  function changed(): void {
    again = true
    if (listed.size < 2) return
    syncing ??= (async () => {
      while (again) {
        again = false
        await sync().catch((error) => log(`service proxy: ${String(error)}`))
      }
    })().finally(() => {
      syncing = undefined
    })
  }

  const follow = <T extends Pod | Service>(path: string, store: Map<string, T>) =>
    new Promise<void>((resolve) => {
      const handlers: ReflectorHandlers<T> = {
        replace(items) {
          listed.add(store)
          store.clear()
          for (const item of items) store.set(item.metadata.uid, item)
          changed()
          resolve()
        },
        upsert(item) {
          store.set(item.metadata.uid, item)
          changed()
        },
        remove(item) {
          store.delete(item.metadata.uid)
          changed()
        },
      }
      void runReflector({ client, path, handlers, signal: end.signal, log })
    })
  await Promise.all([follow<Pod>('/api/v1/pods', pods), follow<Service>('/api/v1/services', services)])
  await syncing

  return {
    hostsFileFor: (node) => {
      const known = hostsOfNodes.get(node)
      if (known !== undefined) return known.path
      const file = createHostsFile(join(dir, `hosts-${node}.json`))
      hostsOfNodes.set(node, file)
      changed()
      return file.path
    },
    addressOf: (namespace, name) => {
      const service = [...services.values()].find(
        ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
      )
      return service && held.get(service.metadata.uid)
    },
    async stop() {
      end.abort()
      await syncing
      await listeners.set(new Map())
      client.close()
      await Promise.all([addresses.close(), rm(dir, { recursive: true, force: true })])
      keepFolder()
    },
  }
}

/** The service that stands for the API server itself has no selector. */
function isApiService({ metadata }: Service): boolean {
  return metadata.namespace === 'default' && metadata.name === 'kubernetes'
}

function giveBack(held: Map<string, string>, services: ReadonlyMap<string, Service>, addresses: AddressBlock): void {
  for (const [key, address] of held) {
    const [uid = ''] = key.split('@')
    if (services.has(uid)) continue
    addresses.release(address)
    held.delete(key)
  }
}
