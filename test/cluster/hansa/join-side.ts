import { connectByKubeconfig } from '@hansa/operator/cli/connect.ts'
import { memoryIo } from '@hansa/operator/cli/memory-io.ts'
import { runProgram } from '@hansa/operator/cli/run-program.ts'
import { openMessage } from '@hansa/operator/federation/open-message.ts'
import { createSeal } from '@hansa/operator/federation/seal-message.ts'
import { createApplier } from '@hansa/operator/kube/apply-if-changed.ts'
import { pods } from '@hansa/operator/kube/builtin.ts'
import { createClient } from '@hansa/operator/kube/client.ts'
import { type Clock, systemClock } from '@hansa/operator/kube/clock.ts'
import { type Controller, source, startController } from '@hansa/operator/kube/controller.ts'
import { identities, peers, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { clusterFromKubeConfig } from '@hansa/operator/kube/kube-config.ts'
import { startReflector } from '@hansa/operator/kube/reflector.ts'
import { reconcileOwnerIdentity } from '@hansa/operator/owneridentity/controller.ts'
import { secretKeyStore } from '@hansa/operator/owneridentity/key-store.ts'
import { secretRootKeys } from '@hansa/operator/owneridentity/root-keys.ts'
import { sealingFrom } from '@hansa/operator/owneridentity/sealing.ts'
import { startPeerController } from '@hansa/operator/peer/start.ts'
import { createLogger } from '@hansa/operator/process/log.ts'
import { Registry } from 'prom-client'
import { identityOf, type TestOwner } from '../../builders/federation.ts'
import { nonceOf } from '../../builders/join.ts'
import { eventually } from '../../demo/wait.ts'
import type { Cluster } from '../cluster.ts'

export type Result = { code: number; stdout: string; stderr: string }

/** One admin of a join: an API server, the command line, the real controller of Peers; keys and bundle are the test's own. */
export type JoinSide = {
  /** Runs `kubectl hansa` in this process; `typed` is what the admin answers to a question. */
  hansa(args: readonly string[], typed?: string): Promise<Result>
  /** Puts the owner's bundle of now into the Identity, as its operator would. */
  publish(owner: TestOwner, identity?: string): Promise<void>
  /** The Peer as the controller has judged its newest spec. */
  judged(name: string): Promise<Judged>
  /** Writes into the status what the link would. */
  linkSays(name: string, links: readonly object[]): Promise<void>
  stop(): Promise<void>
}

export type Judged = {
  metadata: { name: string; generation: number }
  spec: { rootKey?: string; fingerprint?: string; join?: Record<string, string>; suspend?: boolean }
  status: {
    observedGeneration: number
    trustDomain?: string
    rootKey?: string
    bundle?: { sequence: number }
    statement?: { outgoing?: string; goodbye?: string }
    conditions: { type: string; status: string; reason: string; message: string }[]
  }
}

/**
 * Starts the side; the definitions are installed in the cluster already. With `operator` in place of an owner's keys the real controller
 * of Identities runs as well. Secrets and pods of the link are looked for in namespace default.
 */
export async function startJoinSide(
  cluster: Cluster,
  owner: TestOwner | 'operator',
  { clock = systemClock, identity = 'main', asks = nonceOf(cluster.name) }: Options = {},
): Promise<JoinSide> {
  const stopping = new AbortController()
  const { signal } = stopping
  const log = createLogger('join-side', process.env.HANSA_LOG_LEVEL ?? 'silent')
  const registry = new Registry()
  const access = await clusterFromKubeConfig({ path: cluster.kubeconfigPath })
  const client = createClient({ cluster: access, userAgent: 'join-side' })
  const owners = new Map<string, TestOwner>()
  const deps = { client, log, registry }
  const events = { record: () => undefined, close: async () => undefined }
  const keyStore = secretKeyStore({ client, namespace: 'default' })
  const fromTest = async (name: string) => {
    const found = owners.get(name)
    if (found === undefined) throw new Error(`no keys of Identity ${name}`)
    return found
  }
  const sealingOf = owner === 'operator' ? sealingFrom({ keyStore, clock }) : fromTest
  const identityStore = startReflector(deps, { resource: identities }, signal).store
  const controllers: Controller[] = []
  if (owner === 'operator') {
    const applier = createApplier(client, 'hansa-identity')
    const identityDeps = { identities: identityStore, keyStore, rootKeys: secretRootKeys, applier, events, clock }
    controllers.push(
      startController(
        deps,
        {
          name: 'identity',
          sources: [source(identityStore, ({ metadata }) => [metadata.name])],
          reconcile: (key, context) => reconcileOwnerIdentity(key, context, identityDeps),
          concurrency: 1,
        },
        signal,
      ),
    )
  }
  const controller = startPeerController(
    {
      ...deps,
      clock,
      events,
      seal: createSeal({ clock, sealingOf }),
      openMessage,
      asks,
      systemNamespace: 'default',
      peers: startReflector(deps, { resource: peers }, signal).store,
      identities: identityStore,
      linkPods: startReflector(deps, { resource: pods, namespace: 'default' }, signal).store,
      remoteWorks: startReflector(deps, { resource: remoteWorks }, signal).store,
    },
    signal,
  )
  const request = async (method: 'GET' | 'PATCH', path: string, body?: object) => {
    const answer = await cluster.request({ method, path, ...(body !== undefined && { body }) })
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const at = (plural: string, name: string) => `/apis/hansa.dev/v1alpha1/${plural}/${name}`

  async function hansa(args: readonly string[], typed?: string): Promise<Result> {
    const io = memoryIo({ now: () => clock.now() })
    const connect = connectByKubeconfig({ KUBECONFIG: cluster.kubeconfigPath })
    // Commands work without the controller, too.
    const { signal: never } = new AbortController()
    const code = await runProgram(args, { io, connect, version: '0.0.0', signal: never, ask: async () => typed })
    return { code, stdout: io.output(), stderr: io.errors() }
  }

  async function publish(next: TestOwner, name = identity): Promise<void> {
    owners.set(name, next)
    if ((await cluster.request({ path: at('identities', name) })).status === 404) {
      const made = await hansa([
        'identity',
        'create',
        name,
        '--owner',
        next.bundle.ownerId,
        '--cluster',
        next.bundle.clusterName,
      ])
      if (made.code !== 0) throw new Error(made.stderr)
    }
    await request('PATCH', `${at('identities', name)}/status`, { status: identityOf(next).status })
  }

  controllers.push(controller)
  if (owner !== 'operator') await publish(owner)
  return {
    hansa,
    publish,
    judged: (name) =>
      eventually(
        `${cluster.name} judges Peer ${name}`,
        async () => {
          // Its form is that of the definition, which the API server has checked.
          const peer = (await request('GET', at('peers', name))) as Judged & { status?: Judged['status'] }
          return peer.status?.observedGeneration === peer.metadata.generation && peer.status.conditions !== undefined
            ? peer
            : undefined
        },
        { everyMilliseconds: 25 },
      ),
    linkSays: async (name, links) => {
      await request('PATCH', `${at('peers', name)}/status`, { status: { links } })
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(controllers.map((each) => each.stop()))
      await client.close()
    },
  }
}

type Options = { clock?: Clock; identity?: string; asks?: string }

/** A condition of a judged Peer, as `True FingerprintMatches`. */
export function conditionText({ status }: Judged, type: string): string {
  const found = status.conditions.find((each) => each.type === type)
  return `${found?.status} ${found?.reason}`
}
