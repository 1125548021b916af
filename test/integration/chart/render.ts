import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { ensureTools } from '../../cluster/assets.ts'
import { runTool, type ToolResult } from '../../cluster/owner/run-tool.ts'

export const chartFolder = fileURLToPath(new URL('../../../charts/hansa', import.meta.url))
export const releaseNamespace = 'hansa-system'

export type Manifest = {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> }
  [field: string]: unknown
}

/** Runs helm on the chart, with values as helm's `--values` takes them. */
export async function helmTemplate(values: object = {}): Promise<ToolResult> {
  const { helm } = await ensureTools()
  const args = ['template', 'hansa', chartFolder, '--namespace', releaseNamespace, '--values', '-']
  return runTool(helm, args, { input: JSON.stringify(values), timeoutSeconds: 60 })
}

/** What the chart makes of these values. */
export async function render(values: object = {}): Promise<Manifest[]> {
  const { code, stdout, stderr } = await helmTemplate(values)
  if (code !== 0) throw new Error(stderr)
  return parseAllDocuments(stdout).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0]
    const manifest: Manifest | null = document.toJS()
    return manifest === null ? [] : [manifest]
  })
}

export type EnvVar = { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }
export type Container = {
  name: string
  image: string
  args?: string[]
  env?: EnvVar[]
  resources?: { requests?: object; limits?: object }
  securityContext?: Record<string, unknown>
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[]
  livenessProbe?: object
  readinessProbe?: object
}
export type PodSpec = {
  serviceAccountName?: string
  automountServiceAccountToken?: boolean
  hostNetwork?: boolean
  hostPID?: boolean
  hostIPC?: boolean
  terminationGracePeriodSeconds?: number
  securityContext?: Record<string, unknown>
  initContainers?: Container[]
  containers: Container[]
  volumes?: ({ name: string } & Record<string, unknown>)[]
}

/** The pod of a Deployment or DaemonSet of the chart. */
export function podOf(manifests: readonly Manifest[], owner: string): PodSpec {
  const found = pods(manifests).find(({ name }) => name === owner)
  if (found === undefined) throw new Error(`the chart has no pods of ${owner}`)
  return found.spec
}

/** Every pod that the chart runs. */
export function pods(manifests: readonly Manifest[]): { name: string; spec: PodSpec }[] {
  return manifests
    .filter(({ kind }) => ['Deployment', 'DaemonSet', 'StatefulSet'].includes(kind))
    .map(({ metadata, spec }) => {
      // helm's output is checked against the real schema when it is installed, in install.test.ts.
      const { template } = spec as { template: { spec: PodSpec } }
      return { name: metadata.name, spec: template.spec }
    })
}

/** A container's environment as its process sees it, fields filled in. */
export function environment(container: Container | undefined): Record<string, string> {
  const fields: Record<string, string> = {
    'metadata.name': 'pod-1',
    'metadata.namespace': releaseNamespace,
    'status.podIP': '10.1.2.3',
  }
  const given = (container?.env ?? []).map(({ name, value, valueFrom }): [string, string] => [
    name,
    value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? '',
  ])
  return { ...Object.fromEntries(given), KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }
}
