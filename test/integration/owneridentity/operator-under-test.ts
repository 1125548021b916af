import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '@hansa/operator/identity/authority.ts'
import { startCertificateEndpoint } from '@hansa/operator/identity/endpoint.ts'
import { createApplier } from '@hansa/operator/kube/apply-if-changed.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { type Clock, systemClock } from '@hansa/operator/kube/clock.ts'
import { source, startController } from '@hansa/operator/kube/controller.ts'
import { createEventRecorder } from '@hansa/operator/kube/events.ts'
import { identities } from '@hansa/operator/kube/hansa-resources.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import { reviewToken } from '@hansa/operator/operator/review-token.ts'
import { reconcileOwnerIdentity } from '@hansa/operator/owneridentity/controller.ts'
import { ownerCertificates } from '@hansa/operator/owneridentity/issue-certificate.ts'
import { secretKeyStore } from '@hansa/operator/owneridentity/key-store.ts'
import { secretRootKeys } from '@hansa/operator/owneridentity/root-keys.ts'
import { Registry } from 'prom-client'
import { installDefinitions } from '../../cluster/definitions.ts'
import type { Owner } from '../../cluster/owner.ts'
import { releaseNamespace, render } from '../chart/render.ts'
import { clientFor, testLog as log } from '../kube/harness.ts'

/** The namespace that the chart is rendered for. */
const namespace = releaseNamespace

/** The system's clock, moved ahead by hand. */
export function movableClock(): Clock & { aheadMilliseconds: number } {
  const clock = { ...systemClock, aheadMilliseconds: 0, now: () => Date.now() + clock.aheadMilliseconds }
  return clock
}

const neededKinds = new Set(['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding'])

/** Definitions, accounts and rights, as the chart installs them. */
export async function installRights(owner: Owner): Promise<void> {
  await installDefinitions(owner)
  await output(owner, ['create', 'namespace', namespace])
  const manifests = (await render({ link: { enabled: true } })).filter(({ kind }) => neededKinds.has(kind))
  const list = { apiVersion: 'v1', kind: 'List', items: manifests }
  await output(owner, ['apply', '--server-side', '-n', namespace, '-f', '-'], JSON.stringify(list))
}

/** The operator's part in Identities, with the rights of the chart and nothing more. */
export async function startOperatorPart(owner: Owner, clock: Clock, userAgent: string) {
  const stop = new AbortController()
  const client = await clientAs(owner, 'hansa-operator', userAgent)
  const registry = new Registry()
  const deps = { client, log, registry }
  const store = startReflector(deps, { resource: identities }, stop.signal).store
  const events = createEventRecorder({ client, controller: 'hansa.dev/operator', instance: userAgent, log })
  const keyStore = secretKeyStore({ client, namespace })
  const controllerDeps = {
    identities: store,
    events,
    clock,
    applier: createApplier(client, 'hansa-identity'),
    keyStore,
    rootKeys: secretRootKeys,
  }
  const controller = startController(
    { log, registry },
    {
      name: 'identity',
      sources: [source(store, ({ metadata }) => [metadata.name])],
      reconcile: (key, context) => reconcileOwnerIdentity(key, context, controllerDeps),
      concurrency: 1,
    },
    stop.signal,
  )
  return {
    client,
    keyStore,
    /** Looks at an Identity again, as its timer would. */
    look: (name: string) => controller.enqueue(name),
    stop: async () => {
      await controller.stop()
      stop.abort()
      await events.close()
      await client.close()
    },
  }
}

/** The certificate endpoint of one replica, leader or not. */
export async function startEndpoint(client: KubeClient, clock: Clock) {
  const authority = await createAuthority({ trustDomain: 'cluster.hansa' })
  const endpoint = await startCertificateEndpoint({
    authority,
    host: '127.0.0.1',
    port: 0,
    reviewToken: (token, audience, signal) => reviewToken(client, token, audience, signal),
    ownerCertificate: ownerCertificates({
      namespace,
      readIdentity: (name, signal) => client.get(identities, { name }, { signal }),
      keyStore: secretKeyStore({ client, namespace }),
      clock,
    }),
    allowedDnsNames: () => [],
    log,
    registry: new Registry(),
  })
  return { url: endpoint.url, caPem: authority.caPem, close: endpoint.close }
}

/** A client with the token of a service account of the release namespace. */
async function clientAs(owner: Owner, account: string, userAgent: string): Promise<KubeClient> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-identity-'))
  try {
    const config = JSON.parse(await output(owner, ['config', 'view', '--raw', '-o', 'json']))
    const token = await serviceAccountToken(owner, account, [])
    const path = join(folder, 'kubeconfig')
    const users = config.users.map(({ name }: { name: string }) => ({ name, user: { token } }))
    await writeFile(path, JSON.stringify({ ...config, users }), { mode: 0o600 })
    return await clientFor(path, userAgent)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A token of a service account in the release namespace, for the API server or for other audiences. */
export async function serviceAccountToken(
  owner: Owner,
  account: string,
  audiences: readonly string[],
): Promise<string> {
  const flags = audiences.map((audience) => `--audience=${audience}`)
  return (await output(owner, ['create', 'token', account, '-n', namespace, ...flags])).trim()
}

/** What kubectl prints; throws what it complains about. */
export async function output(owner: Owner, args: string[], input?: string): Promise<string> {
  const { stdout, stderr, code } = await owner.kubectl(args, ...(input === undefined ? [] : [{ input }]))
  if (code !== 0) throw new Error(`kubectl ${args.slice(0, 2).join(' ')}: ${stderr}`)
  return stdout
}
