import type { GuestWork } from '@hansa/operator/api/guest-work.ts'
import type { InferenceService } from '@hansa/operator/api/inference-service.ts'
import type { RemoteWork } from '@hansa/operator/api/remote-work.ts'
import type { KubeObject } from '@hansa/operator/api/resource.ts'
import { requestIdAnnotation } from '@hansa/operator/guestwork/names.ts'
import type { KubeClient } from '@hansa/operator/kube/client-types.ts'
import { guestWorks, inferenceServices, remoteWorks } from '@hansa/operator/kube/hansa-resources.ts'
import { type Reflector, startReflector } from '@hansa/operator/kube/reflector.ts'
import type { Live, Resource } from '@hansa/operator/kube/resource.ts'
import type { Store } from '@hansa/operator/kube/store.ts'
import { guestWorkName } from '@hansa/operator/link/courier/receiver.ts'
import { testLog as log } from '../../../integration/kube/harness.ts'
import type { Role } from './line.ts'
import { guestNamespace, systemNamespace, workNamespace } from './names.ts'

export type Watcher = {
  remoteWork(work: Live<RemoteWork>): void
  guestWork(guest: Live<GuestWork>): void
  service(previous: Live<InferenceService> | undefined, current: Live<InferenceService> | undefined): void
  /** The role's objects are from here on those of a snapshot. */
  restored(role: Role): void
}

/** An onlooker at both API servers: neither operators nor faults know of it. */
export class Watch {
  readonly #watcher: Watcher
  readonly #stops = new Map<Role, () => Promise<void>>()
  #works: Store<RemoteWork> | undefined
  #guests: Store<GuestWork> | undefined
  #services: Store<InferenceService> | undefined

  constructor(watcher: Watcher) {
    this.#watcher = watcher
  }

  follow(role: Role, client: KubeClient): void {
    const stopping = new AbortController()
    const reflectors: Pick<Reflector<KubeObject>, 'stop'>[] = []
    const follow = <T extends KubeObject>(resource: Resource<T>): Store<T> => {
      const reflector = startReflector({ client, log }, { resource }, stopping.signal)
      reflectors.push(reflector)
      return reflector.store
    }
    if (role === 'requester') {
      this.#works = follow(remoteWorks)
      this.#works.subscribe(({ current }) => current !== undefined && this.#watcher.remoteWork(current))
    } else {
      this.#guests = follow(guestWorks)
      this.#guests.subscribe(({ current }) => current !== undefined && this.#watcher.guestWork(current))
      this.#services = follow(inferenceServices)
      this.#services.subscribe(({ previous, current }) => this.#watcher.service(previous, current))
    }
    this.#stops.set(role, async () => {
      stopping.abort()
      await Promise.all(reflectors.map((each) => each.stop()))
    })
  }

  async leave(role: Role): Promise<void> {
    await this.#stops.get(role)?.()
    this.#stops.delete(role)
  }

  restored(role: Role): void {
    this.#watcher.restored(role)
  }

  get synced(): boolean {
    return [this.#works, this.#guests, this.#services].every((store) => store?.isSynced() === true)
  }

  work(name: string): Live<RemoteWork> | undefined {
    return this.#works?.get({ namespace: workNamespace, name })
  }

  get tombstones(): readonly Live<RemoteWork>[] {
    return this.#works?.list(systemNamespace) ?? []
  }

  guest(peerName: string, requestId: string): Live<GuestWork> | undefined {
    return this.#guests?.get({ namespace: systemNamespace, name: guestWorkName(peerName, requestId) })
  }

  /** The service of a request while it may have workers. */
  service(requestId: string): Live<InferenceService> | undefined {
    return this.services.find((service) => requestOf(service) === requestId && !service.spec.suspend)
  }

  get services(): readonly Live<InferenceService>[] {
    return this.#services?.list(guestNamespace) ?? []
  }
}

/** The request that a local object was made for. */
export function requestOf({ metadata }: KubeObject): string {
  return metadata.annotations?.[requestIdAnnotation] ?? ''
}
