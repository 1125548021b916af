import type { Peer } from '@hansa/operator/api/peer.ts'
import { guestWorks, identities, peers } from '@hansa/operator/kube/hansa-resources.ts'
import { pino } from 'pino'
import { peerOf } from '../../builders/federation.ts'
import { startLinkedOwner } from '../../integration/link/link-rig.ts'
import { answerCalls } from '../../tools/process-calls.ts'

// The link that is attacked: alone in its process, with the heap that the chart gives it.
const lines: { reason?: string; peer?: string; message?: string }[] = []
const log = pino(
  { level: 'info', messageKey: 'message' },
  {
    write: (line: string) => {
      lines.push(JSON.parse(line))
      if (lines.length > 1000) lines.splice(0, 500)
    },
  },
)
const owner = await startLinkedOwner('university', { log })

answerCalls({
  start: () => ({ port: owner.link.port, peer: peerOf(owner.owner, 'university') }),
  know: (peer: Peer) => {
    owner.cluster.put(peers, peer)
  },
  /** Reasons of the refusals that were logged since the last time. */
  refusals: () => lines.splice(0).flatMap(({ message, reason }) => (message === 'refused' ? [reason ?? '?'] : [])),
  refusedCount: async () => {
    const metric = await owner.registry.getSingleMetric('hansa_link_refused_total')?.get()
    return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0)
  },
  guests: () =>
    owner.cluster.all(guestWorks).map(({ spec, status }) => ({
      peer: spec.peerRef.name,
      requestId: spec.requestId,
      inbox: (status?.inbox ?? []).map(({ kind, sequence }) => `${kind} ${sequence}`),
    })),
  memory: () => {
    globalThis.gc?.()
    globalThis.gc?.()
    const { heapUsed, rss, external } = process.memoryUsage()
    return { heapUsed, rss, external }
  },
  cpu: () => process.cpuUsage(),
  identities: () => owner.cluster.all(identities).length,
})
