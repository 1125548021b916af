import { setTimeout as sleep } from 'node:timers/promises'
import { type Owner, type OwnerOptions, startOwner } from '../owner.ts'
import { isFree } from '../ports.ts'
import { type ProcessNode, startProcessNode } from '../process-node/process-node.ts'
import { type ServiceProxy, startServiceProxy } from '../service-proxy/service-proxy.ts'
import { hansaImages, repository } from './images.ts'
import { localModels } from './local-models.ts'

export const systemNamespace = 'hansa-system'

/** One owner's cluster with Hansa in it, installed by helm from the chart of this checkout. */
export type Installation = {
  readonly owner: Owner
  readonly nodes: readonly ProcessNode[]
  readonly proxy: ServiceProxy
  /** Where users reach the gateway, `https://127.0.0.1:<port>`. */
  readonly gatewayUrl: string
  /** Where their gRPC reaches it, `https://127.0.0.1:<port>`. */
  readonly gatewayGrpcUrl: string
  /** Where links of other owners reach ours, `127.0.0.1:<port>`; undefined where `acceptsInbound` is false. */
  readonly linkAddress: string | undefined
  /** Where gateways of other owners reach ours, likewise. */
  readonly dataAddress: string | undefined
  /** The bundle that users trust, from the ConfigMap hansa-trust. */
  trustPem(): Promise<string>
  /** A service account's token for the gateway. */
  token(serviceAccount: string, namespace: string): Promise<string>
  stop(): Promise<void>
}

export type InstallationOptions = {
  name: string
  nodes?: number
  gpusPerNode?: number
  /** Whether other owners can connect to our link and gateway from outside; default true. */
  acceptsInbound?: boolean
  /** More `--set` values of the chart. */
  values?: Record<string, string>
  /** YAML or JSON of objects that must be there before Hansa is installed, when its namespace is. */
  objects?: string
  owner?: Partial<OwnerOptions>
  /** Gives what pods shall take for the API server, such as a fault proxy's URL. */
  podServerUrl?: (owner: Owner) => Promise<string>
  log?: (line: string) => void
}

/** Starts an owner's control plane with process nodes and installs Hansa; resolves when its pods are ready. */
export async function startInstallation(options: InstallationOptions): Promise<Installation> {
  const { name, acceptsInbound = true, log = () => undefined } = options
  const { port, range } = await freeNodePorts()
  const gatewayUrl = `https://127.0.0.1:${port}`
  const owner = await startOwner({ name, log, nodePortRange: range, ...options.owner })
  const undo: (() => Promise<unknown>)[] = [() => owner.stop()]
  const stop = async () => {
    for (const step of undo.splice(0).reverse())
      await step().catch((error: unknown) => log(`${name}: ${String(error)}`))
  }
  try {
    const proxy = await startServiceProxy({ owner })
    undo.push(() => proxy.stop())
    const podServerUrl = await options.podServerUrl?.(owner)
    const nodes: ProcessNode[] = []
    for (let i = 1; i <= (options.nodes ?? 2); i++) {
      const node = await startProcessNode({
        owner,
        name: `${name}-node-${i}`,
        capacity: { cpu: '8', memory: '16Gi', pods: '110', 'nvidia.com/gpu': String(options.gpusPerNode ?? 2) },
        images: hansaImages(),
        serviceProxy: proxy,
        ...(podServerUrl !== undefined && { podServerUrl }),
      })
      undo.push(() => node.stop())
      nodes.push(node)
    }
    log(`${name}: ${nodes.length} process nodes are ready`)
    await ok(owner.kubectl(['apply', '-f', '-'], { input: localModels(systemNamespace) }))
    if (options.objects !== undefined) await ok(owner.kubectl(['apply', '-f', '-'], { input: options.objects }))
    const link = acceptsInbound ? { 'link.service.type': 'NodePort', 'link.service.nodePort': String(port + 3) } : {}
    await install(owner, gatewayUrl, port, { ...link, ...options.values }, log)
    return {
      owner,
      nodes,
      proxy,
      gatewayUrl,
      gatewayGrpcUrl: `https://127.0.0.1:${port + 1}`,
      dataAddress: acceptsInbound ? `127.0.0.1:${port + 2}` : undefined,
      linkAddress: acceptsInbound ? `127.0.0.1:${port + 3}` : undefined,
      stop,
      trustPem: () => trustPem(owner),
      token: (serviceAccount, namespace) => owner.createToken(serviceAccount, namespace, { audience: 'hansa' }),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function install(
  owner: Owner,
  gatewayUrl: string,
  nodePort: number,
  values: Record<string, string>,
  log: (line: string) => void,
): Promise<void> {
  log(`${owner.name}: helm install hansa charts/hansa -n ${systemNamespace}`)
  const set = {
    'gateway.externalUrl': gatewayUrl,
    'gateway.service.type': 'NodePort',
    'gateway.service.nodePort': String(nodePort),
    'gateway.service.grpcNodePort': String(nodePort + 1),
    'gateway.service.dataNodePort': String(nodePort + 2),
    'fetch.localRoot.existingClaim': 'hansa-local-models',
    // There is no storage class here.
    'ledger.storage.persistent': 'false',
    ...values,
  }
  // Variables of containers are strings, also where they look like numbers.
  const flag = (key: string) => (key.includes('.extraEnv[') ? '--set-string' : '--set')
  const flags = Object.entries(set).flatMap(([key, value]) => [flag(key), `${key}=${value}`])
  await ok(owner.helm(['install', 'hansa', `${repository}/charts/hansa`, '-n', systemNamespace, ...flags]))
  for (const workload of await workloads(owner)) {
    log(`${owner.name}: waiting for ${workload}`)
    await ok(owner.kubectl(['rollout', 'status', workload, '-n', systemNamespace, '--timeout=120s']), () =>
      diagnose(owner),
    )
  }
}

/** Hansa's Deployments and StatefulSets, as kubectl names them; the authority's first. */
async function workloads(owner: Owner): Promise<string[]> {
  const names = await ok(owner.kubectl(['get', 'deployments,statefulsets', '-n', systemNamespace, '-o', 'name']))
  const all = names.trim().split('\n')
  return [
    ...all.filter((name) => name.endsWith('/hansa-operator')),
    ...all.filter((name) => !name.endsWith('/hansa-operator')),
  ]
}

async function trustPem(owner: Owner): Promise<string> {
  for (let attempt = 0; attempt < 60; attempt++) {
    const { code, stdout } = await owner.kubectl([
      ...['get', 'configmap', 'hansa-trust', '-n', systemNamespace],
      ...['-o', 'jsonpath={.data.ca\\.pem}'],
    ])
    if (code === 0 && stdout.includes('BEGIN CERTIFICATE')) return stdout
    await sleep(500)
  }
  throw new Error(`the operator did not publish the ConfigMap hansa-trust in ${systemNamespace}`)
}

async function diagnose(owner: Owner): Promise<string> {
  const pods = await owner.kubectl(['get', 'pods', '-n', systemNamespace, '-o', 'wide'])
  const events = await owner.kubectl([
    ...['get', 'events', '-n', systemNamespace, '--field-selector=type=Warning', '--sort-by=.lastTimestamp'],
    ...['--no-headers', '-o', 'custom-columns=O:.involvedObject.name,R:.reason,M:.message'],
  ])
  // The API server refuses loopback addresses in EndpointSlices; here that is always so and says nothing.
  const telling = events.stdout
    .split('\n')
    .filter((line) => !line.includes('loopback range'))
    .slice(-15)
  const logs = await Promise.all(
    (await workloads(owner)).map((workload) => owner.kubectl(['logs', workload, '-n', systemNamespace, '--tail=15'])),
  )
  return [pods.stdout, ...telling, ...logs.map(({ stdout, stderr }) => stdout + stderr)].join('\n')
}

async function ok(
  running: Promise<{ code: number; stdout: string; stderr: string }>,
  explain: () => Promise<string> = async () => '',
): Promise<string> {
  const { code, stdout, stderr } = await running
  if (code === 0) return stdout
  throw new Error(`${stderr || stdout}\n${await explain()}`.trim())
}

const taken = new Set<number>()

/** A port for the gateway outside of what other owners on this machine use, and the range around it; three more follow it. */
async function freeNodePorts(): Promise<{ port: number; range: string }> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const base = 30_000 + 10 * Math.floor(Math.random() * 270)
    if (taken.has(base)) continue
    taken.add(base) // owners that start side by side ask before any of them listens
    const free = await Promise.all([0, 1, 2, 3].map((i) => isFree(base + i)))
    if (free.every((each) => each)) return { port: base, range: `${base}-${base + 9}` }
  }
  throw new Error('found no free ports between 30000 and 32700 for the gateway')
}
