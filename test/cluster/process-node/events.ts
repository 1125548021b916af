import { randomBytes } from 'node:crypto'
import type { KubeClient } from './kube-client.ts'
import { namespaceOf, type Pod } from './kube-types.ts'

export type Emit = (pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string) => void

const quietMilliseconds = 30_000
const longestMessage = 1_000

/** Makes a writer of events about pods: the same one at most every 30 s, lost ones are not sent again. */
export function createEventWriter(client: KubeClient, nodeName: string): Emit {
  const written = new Map<string, number>()
  return (pod, type, reason, message) => {
    const key = `${pod.metadata.uid}/${reason}/${message}`
    const now = Date.now()
    if (now - (written.get(key) ?? 0) < quietMilliseconds) return
    if (written.size > 2_000) written.clear()
    written.set(key, now)
    const namespace = namespaceOf(pod)
    const { name, uid } = pod.metadata
    const at = new Date(now).toISOString()
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { namespace, name: `${name}.${randomBytes(8).toString('hex')}` },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      type,
      reason,
      message: message.slice(0, longestMessage),
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
      source: { component: 'kubelet', host: nodeName },
      reportingComponent: 'kubelet',
      reportingInstance: nodeName,
    }
    // An event is a courtesy: a namespace that is going away refuses it, and so does a node that is cut off.
    client.request({ method: 'POST', path: `/api/v1/namespaces/${namespace}/events`, body }).catch(() => undefined)
  }
}
