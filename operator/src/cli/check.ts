import { group, version } from '../api/resource.ts'
import { KubeApiError } from '../kube/api-error.ts'
import { deployments } from '../kube/builtin.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { messageOf } from '../process/errors.ts'
import { type Io, paint, plain } from './io.ts'
import { type Format, printObject } from './output.ts'

/** One line of `check`; `unknown` means that the caller may not look. */
export type Finding = { name: string; result: 'ok' | 'failed' | 'unknown'; message: string; fix?: string }

const kinds = ['inferenceservices', 'models', 'accesskeys']
const components = [
  { name: 'hansa-operator', does: 'nothing is reconciled, no certificate is renewed' },
  { name: 'hansa-gateway', does: 'no request is answered' },
  { name: 'hansa-fetch', does: 'no model is fetched' },
]

/** `check`: API server, definitions, components. Returns whether nothing failed. */
export async function check(
  client: KubeClient,
  options: { systemNamespace: string; output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<boolean> {
  const findings = await findAll(client, options.systemNamespace, signal)
  if (options.output === 'table') {
    for (const finding of findings) io.out(line(finding, io))
  } else {
    await printObject(io, options.output, { findings })
  }
  return findings.every(({ result }) => result !== 'failed')
}

async function findAll(client: KubeClient, systemNamespace: string, signal: AbortSignal): Promise<Finding[]> {
  const server = await reachable(client, signal)
  if (server.result === 'failed') return [server]
  return [
    server,
    ...(await definitions(client, signal)),
    ...(await Promise.all(components.map((each) => component(client, systemNamespace, each, signal)))),
  ]
}

async function reachable(client: KubeClient, signal: AbortSignal): Promise<Finding> {
  const name = 'API server'
  try {
    const answer = await client.raw('GET', '/version', { signal })
    const gitVersion =
      typeof answer === 'object' && answer !== null && 'gitVersion' in answer
        ? String(answer.gitVersion)
        : 'unknown version'
    return { name, result: 'ok', message: `${client.cluster}, ${gitVersion}` }
  } catch (error) {
    const refused = error instanceof KubeApiError && (error.status === 401 || error.status === 403)
    const fix = refused
      ? 'Log in again: your credentials are refused.'
      : 'Check --context, the VPN, and that the cluster runs: kubectl cluster-info'
    return { name, result: 'failed', message: messageOf(error), fix }
  }
}

async function definitions(client: KubeClient, signal: AbortSignal): Promise<Finding[]> {
  const served = await client.raw('GET', `/apis/${group}/${version}`, { signal }).catch((error: unknown) => {
    if (error instanceof KubeApiError && error.status === 404) return { resources: [] }
    throw error
  })
  const text = JSON.stringify(served)
  return kinds.map((plural) => {
    const name = `${plural}.${group}`
    if (text.includes(`"name":"${plural}"`)) return { name, result: 'ok' as const, message: `served as ${version}` }
    return {
      name,
      result: 'failed' as const,
      message: `the API server does not serve ${version} of it`,
      fix: 'Install Hansa: helm install hansa charts/hansa --namespace hansa-system --create-namespace (with crds.enabled=true)',
    }
  })
}

async function component(
  client: KubeClient,
  namespace: string,
  { name, does }: { name: string; does: string },
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const deployment = await client.get(deployments, { namespace, name }, { signal })
    if (deployment === undefined) {
      const fix = `Is Hansa installed in another namespace? Then name it with --system-namespace.`
      return { name, result: 'failed', message: `there is no Deployment ${name} in namespace ${namespace}`, fix }
    }
    const wanted = deployment.spec.replicas ?? 1
    const ready = deployment.status?.readyReplicas ?? 0
    if (ready >= 1 && ready >= wanted) return { name, result: 'ok', message: `${ready} of ${wanted} ready` }
    const fix = `kubectl describe pods -n ${namespace} -l app.kubernetes.io/component=${name.replace('hansa-', '')}`
    const effect = ready === 0 ? `; ${does}` : ''
    return { name, result: 'failed', message: `${ready} of ${wanted} ready${effect}`, fix }
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 403) {
      return { name, result: 'unknown', message: `you may not read Deployments in namespace ${namespace}` }
    }
    throw error
  }
}

const marks = {
  ok: ['green', 'ok     '],
  failed: ['red', 'FAILED '],
  unknown: ['yellow', 'unknown'],
} as const

function line({ name, result, message, fix }: Finding, io: Io): string {
  const [colour, mark] = marks[result]
  const text = `${paint(io, colour, mark)}  ${plain(name)}: ${plain(message)}\n`
  return fix === undefined ? text : `${text}         fix: ${fix}\n`
}
