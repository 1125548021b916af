import { setTimeout as sleep } from 'node:timers/promises'
import { isStatus, type KubeClient } from './kube-client.ts'
import { namespaceOf, type Pod, type PodStatus } from './kube-types.ts'

/** Brings a pod's newest status to the API server, however long that takes. */
export interface StatusSender {
  set(status: PodStatus): void
  /** Sends the newest status again unless that is under way: somebody else has changed it. */
  repeat(): void
  /** Resolves when nothing is left to send, or the pod is gone. */
  flushed(): Promise<void>
  close(): void
}

const longestRetryMilliseconds = 2_000

/** Sends each status that differs from the one before; older ones are skipped while the API server is away. */
export function createStatusSender(client: KubeClient, pod: Pod, log: (line: string) => void): StatusSender {
  const { name, uid, generation } = pod.metadata
  const path = `/api/v1/namespaces/${namespaceOf(pod)}/pods/${name}/status`
  const end = new AbortController()
  let wanted = ''
  let sent = ''
  let sending: Promise<void> | undefined

  async function send(): Promise<void> {
    let retryMilliseconds = 100
    while (sent !== wanted && !end.signal.aborted) {
      const next = wanted
      try {
        await client.request({
          method: 'PATCH',
          path,
          body: patch(uid, generation, JSON.parse(next)),
          signal: end.signal,
        })
        sent = next
      } catch (error) {
        if (isStatus(error, 404) || isStatus(error, 409)) return end.abort()
        if (isStatus(error, 422)) {
          log(`status of pod ${name} refused: ${String(error)}`)
          sent = next
        }
        await sleep(retryMilliseconds, undefined, { signal: end.signal }).catch(() => undefined)
        retryMilliseconds = Math.min(retryMilliseconds * 2, longestRetryMilliseconds)
      }
    }
  }

  function start(): void {
    sending ??= send().finally(() => {
      sending = undefined
    })
  }

  return {
    set(status) {
      wanted = JSON.stringify(status)
      start()
    },
    repeat() {
      if (sending) return
      sent = ''
      start()
    },
    async flushed() {
      while (sending) await sending
    },
    close: () => end.abort(),
  }
}

function patch(uid: string, generation: number | undefined, status: PodStatus): object {
  // Strategic merge keeps other writers' conditions; addresses would be merged too, hence the explicit replacement.
  const replace = { $patch: 'replace' }
  return {
    metadata: { uid },
    status: {
      ...status,
      ...(status.podIPs ? { podIPs: [replace, ...status.podIPs] } : {}),
      ...(status.hostIP ? { hostIPs: [replace, { ip: status.hostIP }] } : {}),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    },
  }
}
