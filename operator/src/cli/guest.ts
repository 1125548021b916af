import { vetoAnnotation } from '../api/guest-work.ts'
import { apiVersion } from '../api/resource.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { guestWorks } from '../kube/hansa-resources.ts'
import { CliError, usageError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { plain } from './io.ts'
import { age, columns, type Format, printObject } from './output.ts'
import { type Deps, fieldManager } from './peer/lookup.ts'

/** `guest list`: what peers ask to run here, and what we said. */
export async function listGuests(
  client: KubeClient,
  { namespace, output }: { namespace: string; output: Format },
  { io, signal }: Deps,
): Promise<void> {
  const { items } = await client.list(guestWorks, { signal, namespace })
  if (output !== 'table') {
    await printObject(io, output, { apiVersion, kind: 'GuestWorkList', items })
    return
  }
  if (items.length === 0) {
    io.err('No peer has asked to run anything here.\n')
    return
  }
  const head = ['NAME', 'PEER', 'DECISION', 'POLICY', 'WORKERS', 'LEASE UNTIL', 'GPU SECONDS', 'WHY', 'AGE']
  io.out(
    columns(
      head,
      items.map(({ metadata, spec, status }) => [
        metadata.name,
        spec.peerRef.name,
        status?.decision ?? 'Undecided',
        status?.policyName ?? '',
        `${status?.readyReplicas ?? 0}/${status?.replicas ?? 0}`,
        status?.lease?.expiresTime ?? '',
        String(status?.gpuSeconds ?? 0),
        status?.veto?.message ?? status?.refusals?.map(({ reason }) => reason).join(',') ?? '',
        age(metadata.creationTimestamp, io.now()),
      ]),
    ),
  )
}

const longestReason = 512

/** `guest stop|preempt NAME`: ends guest work at once, or lets it finish requests; the requester sees the reason. */
export async function vetoGuest(
  client: KubeClient,
  options: { name: string; namespace: string; action: 'stop' | 'preempt'; reason: string },
  { io, signal }: Deps,
): Promise<void> {
  const { name, namespace, action, reason } = options
  if (reason.trim() === '' || reason.length > longestReason) {
    throw usageError(`--reason must have from 1 to ${longestReason} characters`, 'The requester sees it.')
  }
  const annotations = { [vetoAnnotation]: `${action}: ${reason}` }
  if ((await client.get(guestWorks, { namespace, name }, { signal })) === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `there is no GuestWork ${plain(name)} in namespace ${plain(namespace)}`,
      'See kubectl hansa guest list',
    )
  }
  await client.patch(guestWorks, { namespace, name }, { metadata: { annotations } }, { signal, fieldManager })
  io.err(`GuestWork ${name} ${action === 'stop' ? 'is stopped' : 'is preempted'}; the requester is told why.\n`)
}
