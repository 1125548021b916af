import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sealing } from '@hansa/operator/federation/seal-message.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { installDefinitions } from '../../../cluster/definitions.ts'
import { startOwner } from '../../../cluster/owner.ts'
import { clientFor } from '../../../integration/kube/harness.ts'
import type { Line, Role } from './line.ts'
import { startLineLink } from './link.ts'
import { type OperatorChange, startSharing } from './operator.ts'
import type { Watch } from './watch.ts'

const limits = { requestsPerSecond: 300, burst: 600 }

/** An owner with a control plane of its own; operator and link are of this process, and crash, restart and lose their memory at will. */
export class SharingOwner {
  readonly role: Role
  readonly client: KubeClient
  /** What the mutant of the moment changes. */
  change: OperatorChange = {}
  /** Since when the operator runs; undefined while it does not. */
  upSince: number | undefined
  readonly #cluster: Awaited<ReturnType<typeof startOwner>>
  readonly #sealingOf: (identityName: string) => Sealing
  readonly #watch: Watch
  #lines: ReadonlyMap<string, Line> = new Map()
  #running: { stop(): Promise<void> } | undefined

  private constructor(
    role: Role,
    cluster: Awaited<ReturnType<typeof startOwner>>,
    client: KubeClient,
    sealingOf: (identityName: string) => Sealing,
    watch: Watch,
  ) {
    this.role = role
    this.client = client
    this.#cluster = cluster
    this.#sealingOf = sealingOf
    this.#watch = watch
  }

  static async start(
    role: Role,
    sealingOf: (identityName: string) => Sealing,
    watch: Watch,
    log: (line: string) => void,
  ): Promise<SharingOwner> {
    const cluster = await startOwner({ name: role, log })
    // Neither pods nor their objects are part of this; the cores are better used otherwise.
    await Promise.all([cluster.parts.controllerManager.stop(), cluster.parts.scheduler.stop()])
    await installDefinitions(cluster)
    return new SharingOwner(role, cluster, await clientFor(cluster.kubeconfigPath, 'test', limits), sealingOf, watch)
  }

  async apply(objects: readonly object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
    const { code, stderr } = await this.#cluster.kubectl(['apply', '-f', '-'], { input })
    if (code !== 0) throw new Error(`${this.role}: ${stderr}`)
  }

  follow(): void {
    this.#watch.follow(this.role, this.client)
  }

  /** Starts operator and link. */
  async run(lines: ReadonlyMap<string, Line> = this.#lines): Promise<void> {
    this.#lines = lines
    const client = await clientFor(this.#cluster.kubeconfigPath, 'operator', limits)
    const operator = startSharing(client, this.#sealingOf, this.change)
    const link = startLineLink(client, this.role, lines)
    this.upSince = Date.now()
    this.#running = {
      stop: async () => {
        await Promise.all([operator.stop(), link.stop()])
        await client.close()
      },
    }
  }

  /** Ends operator and link in the middle of what they do. */
  async crash(): Promise<void> {
    this.upSince = undefined
    const running = this.#running
    this.#running = undefined
    await running?.stop()
  }

  /** Keeps etcd's data of now, as a disk snapshot would. */
  async snapshot(): Promise<void> {
    const { etcd } = this.#cluster.parts
    await rm(this.#file('snapshot'), { recursive: true, force: true })
    etcd.pause()
    try {
      await cp(this.#file('etcd'), this.#file('snapshot'), { recursive: true })
    } finally {
      etcd.resume()
    }
  }

  /** Puts etcd's data of the snapshot back, while the operator is down; the API server forgets what it cached. */
  async restore(): Promise<void> {
    await this.#watch.leave(this.role)
    const { apiserver, etcd } = this.#cluster.parts
    await apiserver.kill()
    await etcd.kill()
    await rm(this.#file('etcd'), { recursive: true })
    await cp(this.#file('snapshot'), this.#file('etcd'), { recursive: true })
    await etcd.start()
    await apiserver.start()
    this.#watch.restored(this.role)
    this.follow()
  }

  #file(name: string): string {
    return join(this.#cluster.dir, name)
  }

  async stop(): Promise<void> {
    await this.crash()
    await this.#watch.leave(this.role)
    await this.client.close()
    await this.#cluster.stop()
  }
}
