import { resolve } from 'node:path'
import type { Cluster } from './cluster.ts'

const crds = resolve(import.meta.dirname, '../../crds')

/** Installs the generated custom resource definitions and waits until the API server serves them. */
export async function installDefinitions(cluster: Cluster): Promise<void> {
  const applied = await cluster.kubectl(['apply', '--server-side', '-f', crds])
  if (applied.code !== 0) throw new Error(`the API server refuses our definitions: ${applied.stderr}`)
  const names = applied.stdout.match(/[a-z]+\.hansa\.dev/g) ?? []
  const waited = await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', ...names])
  if (waited.code !== 0) throw new Error(`the definitions are not served: ${waited.stderr}`)
}
