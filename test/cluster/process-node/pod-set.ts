import { messageOf } from '@hansa/operator/process/errors.ts'
import { namespaceOf, type Pod } from './kube-types.ts'
import type { FoundLog, LogQuery } from './kubelet-server.ts'
import { type PodWorker, type PodWorkerDeps, startPodWorker } from './pod-worker.ts'
import { runReflector } from './reflector.ts'

export interface PodSet {
  /** Runs what is bound to the node until the signal fires. */
  watch(nodeName: string, signal: AbortSignal): void
  list(): { namespace: string; name: string; containers: { name: string; pid: number | undefined }[] }[]
  kill(namespace: string, pod: string, container: string, signal?: NodeJS.Signals): boolean
  killAll(): void
  findLog(query: LogQuery): FoundLog | string
  shutdown(graceSeconds: number): Promise<void>
}

const retryMilliseconds = 1_000

/** Makes the set of the pods of a node, empty at first. */
export function createPodSet(deps: PodWorkerDeps): PodSet {
  const workers = new Map<string, PodWorker>()
  // Pods that are done here but still in the API, for a finalizer's sake.
  const finished = new Set<string>()
  const rejected = new Set<string>()
  let closed = false

  function upsert(pod: Pod): void {
    const { uid, name } = pod.metadata
    const worker = workers.get(uid)
    worker?.update(pod)
    if (worker || closed || finished.has(uid)) return
    rejected.delete(uid)
    try {
      const started = startPodWorker(pod, deps)
      workers.set(uid, started)
      void started.done.then(
        () => {
          finished.add(uid)
          workers.delete(uid)
        },
        (error) => deps.log(`pod ${name}: ${messageOf(error)}`),
      )
    } catch (error) {
      deps.emit(pod, 'Warning', 'FailedCreatePodSandBox', messageOf(error))
      rejected.add(uid)
      setTimeout(() => rejected.has(uid) && upsert(pod), retryMilliseconds).unref()
    }
  }

  function remove(uid: string): void {
    const worker = workers.get(uid)
    worker?.remove()
    if (worker) void worker.done.then(() => finished.delete(uid))
    finished.delete(uid)
    rejected.delete(uid)
  }

  function find(namespace: string, pod: string): PodWorker | undefined {
    const matching = [...workers.values()].filter((worker) => worker.pod.metadata.name === pod)
    // A terminating pod may have a successor of the same name.
    return matching.findLast((worker) => namespaceOf(worker.pod) === namespace)
  }

  return {
    watch(nodeName, signal) {
      void runReflector<Pod>({
        client: deps.client,
        path: '/api/v1/pods',
        fieldSelector: `spec.nodeName=${nodeName}`,
        signal,
        log: deps.log,
        handlers: {
          replace(pods) {
            const present = new Set(pods.map(({ metadata }) => metadata.uid))
            for (const uid of [...workers.keys(), ...finished]) if (!present.has(uid)) remove(uid)
            for (const pod of pods) upsert(pod)
          },
          upsert,
          remove: (pod) => remove(pod.metadata.uid),
        },
      })
    },
    list: () =>
      [...workers.values()].map(({ pod, containers }) => ({
        namespace: namespaceOf(pod),
        name: pod.metadata.name,
        containers: containers.map(({ spec, pid }) => ({ name: spec.name, pid })),
      })),
    kill(namespace, pod, container, signal = 'SIGKILL') {
      const target = find(namespace, pod)?.containers.find(({ spec }) => spec.name === container)
      if (target?.pid === undefined) return false
      target.kill(signal)
      return true
    },
    killAll() {
      for (const { containers } of workers.values()) for (const container of containers) container.kill('SIGKILL')
    },
    findLog({ namespace, pod, container, previous }) {
      const target = find(namespace, pod)?.containers.find(({ spec }) => spec.name === container)
      if (!target) return `container ${container} in pod ${pod} is not known to this node`
      const path = target.logPath(previous)
      if (path !== undefined) return { path, live: () => target.pid !== undefined && target.logPath(previous) === path }
      return previous
        ? `previous terminated container "${container}" in pod "${pod}" not found`
        : `container "${container}" in pod "${pod}" is waiting to start`
    },
    async shutdown(graceSeconds) {
      closed = true
      await Promise.all([...workers.values()].map((worker) => worker.shutdown(graceSeconds)))
    },
  }
}
