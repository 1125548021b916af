import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { AddressBlock } from './address-block.ts'
import { type Container, type ContainerDeps, type ContainerKind, createContainer } from './container.ts'
import type { Emit } from './events.ts'
import { isStatus, type KubeClient } from './kube-client.ts'
import { type Condition, type ContainerSpec, namespaceOf, type Pod, type PodStatus } from './kube-types.ts'
import type { ObjectCache } from './object-cache.ts'
import { computePodStatus } from './pod-status.ts'
import { createStatusSender } from './status-sender.ts'
import { mountVolumes, type Volumes } from './volumes.ts'

export interface PodWorkerDeps extends Pick<ContainerDeps, 'images' | 'environment' | 'nodeOptions' | 'onProcess'> {
  readonly client: KubeClient
  readonly objects: ObjectCache
  readonly addresses: AddressBlock
  readonly allocatable: Readonly<Record<string, string>>
  readonly emit: Emit
  /** The node's folder for pods. */
  readonly folder: string
  readonly log: (line: string) => void
}

/** One pod on this node, from its binding to its removal. */
export interface PodWorker {
  readonly pod: Pod
  readonly containers: readonly Container[]
  update(pod: Pod): void
  /** The pod is gone from the API server: what runs of it ends within a second. */
  remove(): void
  /** Ends the processes and forgets the pod without a word to the API server. */
  shutdown(graceSeconds: number): Promise<void>
  /** Resolves when nothing of the pod is left here. */
  readonly done: Promise<void>
}

const mountRetryMilliseconds = 50
const longestMountRetryMilliseconds = 1_000
const quietMountFailures = 3

/** Runs a pod. */
export function startPodWorker(first: Pod, deps: PodWorkerDeps): PodWorker {
  let pod = first
  const folder = join(deps.folder, pod.metadata.uid)
  const adopted = first.status
  const startTime = adopted?.startTime ?? timestamp()
  const startedAt = adopted?.startTime === undefined ? Date.now() : Date.parse(adopted.startTime)
  const over = adopted?.phase === 'Succeeded' || adopted?.phase === 'Failed'
  const hostIp = deps.addresses.own
  const podIp = over ? undefined : pod.spec.hostNetwork ? hostIp : deps.addresses.take()
  let addressHeld = podIp !== undefined && podIp !== hostIp
  let conditions: readonly Condition[] = adopted?.conditions ?? []
  let volumes: Volumes | undefined
  let mountFailures = 0
  let mounting: Promise<void> | undefined
  let stopping: Promise<void> | undefined
  let stopBy = Number.POSITIVE_INFINITY
  let ended = over
  let gone = false
  let failure: { reason: string; message: string } | undefined
  let closed = false
  const emit: ContainerDeps['emit'] = (type, reason, message) => deps.emit(pod, type, reason, message)
  const sender = createStatusSender(deps.client, pod, deps.log)

  const containerDeps: ContainerDeps = {
    ...deps,
    pod: () => pod,
    volumePaths: () => volumes?.paths ?? new Map(),
    addresses: { podIp: podIp ?? hostIp, hostIp, allocatable: deps.allocatable },
    // For short service names in dns-preload.
    environment: { ...deps.environment, HANSA_TEST_NAMESPACE: namespaceOf(first) },
    folder: join(folder, 'containers'),
    onChange: wake,
    emit,
  }
  const make = (spec: ContainerSpec, kind: ContainerKind, statuses: PodStatus['containerStatuses']) =>
    createContainer(
      spec,
      kind,
      containerDeps,
      statuses?.find(({ name }) => name === spec.name),
    )
  const init = (pod.spec.initContainers ?? []).map((spec) =>
    make(spec, spec.restartPolicy === 'Always' ? 'sidecar' : 'init', adopted?.initContainerStatuses),
  )
  const app = pod.spec.containers.map((spec) => make(spec, 'app', adopted?.containerStatuses))
  const sidecars = init.filter(({ kind }) => kind === 'sidecar')

  const pending: { wake: () => void; woken: boolean } = { wake: () => undefined, woken: true }
  function wake(): void {
    pending.woken = true
    pending.wake()
  }

  async function mount(): Promise<void> {
    try {
      volumes = await mountVolumes({
        ...deps,
        pod: () => pod,
        addresses: containerDeps.addresses,
        folder: join(folder, 'volumes'),
      })
      if (closed) volumes.close()
    } catch (error) {
      // The API server's Node authorizer learns of a binding a moment after the node does, and refuses tokens meanwhile.
      const attempt = mountFailures++
      if (attempt >= quietMountFailures) emit('Warning', 'FailedMount', messageOf(error))
      await sleep(Math.min(mountRetryMilliseconds * 2 ** attempt, longestMountRetryMilliseconds))
    } finally {
      mounting = undefined
      wake()
    }
  }

  function advance(): void {
    if (!volumes) {
      mounting ??= mount()
      return
    }
    for (const container of init) {
      // Below a running app the init containers have done their work; sidecars go on.
      if (container.kind === 'init' && app.some(({ pid }) => pid !== undefined)) continue
      container.advance()
      if (container.kind === 'sidecar') {
        if (!container.status().started) return
      } else if (container.finalExitCode !== 0) {
        if (container.finalExitCode !== undefined) stop(0)
        return
      }
    }
    for (const container of app) container.advance()
    if (app.every(({ finalExitCode }) => finalExitCode !== undefined)) stop(graceSeconds())
  }

  function graceSeconds(): number {
    return pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
  }

  /** Ends all containers, apps before sidecars; a second call can only shorten the grace period. */
  function stop(seconds: number): void {
    const by = Date.now() + seconds * 1_000
    if (stopping) {
      if (by < stopBy - 500) void hurry(by)
      return
    }
    stopBy = by
    const left = () => Math.max(0, stopBy - Date.now()) / 1_000
    stopping = (async () => {
      await mounting
      await Promise.all(
        [...app, ...init.filter(({ kind }) => kind === 'init')].map((container) => container.stop(left())),
      )
      for (const sidecar of sidecars.toReversed()) await sidecar.stop(Math.max(1, left()))
      ended = true
      volumes?.close()
      wake()
    })()
  }

  async function hurry(by: number): Promise<void> {
    stopBy = by
    await sleep(Math.max(0, by - Date.now()))
    for (const container of [...app, ...init]) container.kill('SIGKILL')
  }

  function checkDeadline(): void {
    const { activeDeadlineSeconds } = pod.spec
    if (activeDeadlineSeconds === undefined || failure || ended) return
    if (startedAt + activeDeadlineSeconds * 1_000 > Date.now()) return
    failure = { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' }
    stop(graceSeconds())
  }

  function report(): void {
    if (over || gone) return
    const status = computePodStatus({
      pod,
      init: init.map((container) => container.status()),
      sidecars: new Set(sidecars.map(({ spec }) => spec.name)),
      app: app.map((container) => container.status()),
      podIp,
      hostIp,
      startTime,
      ended,
      failure,
      before: conditions,
      now: timestamp(),
    })
    conditions = status.conditions ?? []
    sender.set(status)
  }

  async function deleteObject(): Promise<void> {
    const path = `/api/v1/namespaces/${namespaceOf(pod)}/pods/${pod.metadata.name}`
    const body = { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } }
    while (!gone && !closed) {
      try {
        await deps.client.request({ method: 'DELETE', path, body })
        return
      } catch (error) {
        if (isStatus(error, 404) || isStatus(error, 409)) return
        await sleep(500)
      }
    }
  }

  async function cleanUp(): Promise<void> {
    closed = true
    sender.close()
    volumes?.close()
    releaseAddress()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }

  function releaseAddress(): void {
    if (podIp !== undefined && addressHeld) deps.addresses.release(podIp)
    addressHeld = false
  }

  async function work(): Promise<void> {
    const deadline = deadlineTimer(pod, startedAt, wake)
    while (!closed) {
      pending.woken = false
      if (gone) stop(1)
      else if (pod.metadata.deletionTimestamp !== undefined) stop(graceSeconds())
      checkDeadline()
      if (!stopping && !ended) advance()
      report()
      if (ended) releaseAddress()
      if (ended && (gone || pod.metadata.deletionTimestamp !== undefined)) {
        if (!gone) {
          await sender.flushed()
          await deleteObject()
        }
        break
      }
      await new Promise<void>((resolve) => {
        pending.wake = resolve
        if (pending.woken || closed) resolve()
      })
    }
    clearTimeout(deadline)
    if (!closed) await cleanUp()
  }

  const done = work()
  return {
    get pod() {
      return pod
    },
    containers: [...init, ...app],
    update(next) {
      const shown = JSON.stringify([pod.metadata.labels, pod.metadata.annotations])
      pod = next
      if (JSON.stringify([next.metadata.labels, next.metadata.annotations]) !== shown) volumes?.refresh()
      // The node controller sets Ready to False while it does not hear from us.
      if (isReady(next.status?.conditions) !== isReady(conditions)) sender.repeat()
      wake()
    },
    remove() {
      gone = true
      wake()
    },
    async shutdown(seconds) {
      closed = true
      sender.close()
      stop(seconds)
      wake()
      await stopping
      await done
      releaseAddress()
    },
    done,
  }
}

function isReady(conditions: readonly Condition[] = []): boolean {
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
}

function deadlineTimer(pod: Pod, startedAt: number, wake: () => void): NodeJS.Timeout | undefined {
  const { activeDeadlineSeconds } = pod.spec
  if (activeDeadlineSeconds === undefined) return undefined
  const left = startedAt + activeDeadlineSeconds * 1_000 - Date.now()
  return setTimeout(wake, Math.max(0, left) + 10).unref()
}

function timestamp(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`
}
