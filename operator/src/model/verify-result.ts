import { modelReasons } from '../api/model-reasons.ts'
import { imagePull, reportOf } from '../inferenceservice/workers.ts'
import type { Job } from '../kube/builtin.ts'
import { conditionOf, isTrue } from '../kube/conditions.ts'
import type { Pod } from '../kube/pod-types.ts'
import { type Finding, verified } from './finding.ts'

/** What the Job that checks a claim, and its pods, say so far; pods of other Jobs do not count. */
export function verifyResult(job: Job | undefined, pods: readonly Pod[]): Finding {
  const conditions = job?.status?.conditions
  // `verify` exits 0 only when all is well, and its pod may be gone by the time that somebody looks.
  if (isTrue(conditions, 'Complete')) return verified()
  const own = pods.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job?.metadata.uid))
  const failed = conditionOf(conditions, 'Failed')
  if (failed?.status === 'True') return reported(own) ?? withoutReport(job, failed.message)
  for (const pod of own) {
    const trouble = imagePull(pod)
    if (trouble !== undefined) return { reason: 'VerifyJobFailed', message: trouble.message }
  }
  const waiting = own
    .map((pod) => conditionOf(pod.status?.conditions, 'PodScheduled'))
    .find((scheduled) => scheduled?.status === 'False')
  if (waiting !== undefined) {
    const message = waiting.message ?? 'the pod that checks the claim cannot be scheduled'
    return { reason: 'VolumeUnavailable', message }
  }
  return { reason: 'Fetching', message: 'a Job checks the files on the claim' }
}

/** The last try's report. */
function reported(pods: readonly Pod[]): Finding | undefined {
  const reports = pods
    .toSorted((a, b) => (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''))
    .flatMap((pod) => pod.status?.containerStatuses ?? [])
    .flatMap((status) => reportOf(status.state?.terminated?.message) ?? [])
  const report = reports.at(-1)
  const reason = modelReasons.find((known) => known === report?.reason)
  if (report === undefined || reason === undefined || reason === 'Verified') return undefined
  return { reason, message: report.file === undefined ? report.message : `file ${report.file}: ${report.message}` }
}

function withoutReport(job: Job | undefined, why = 'no reason given'): Finding {
  const { name, namespace } = job?.metadata ?? {}
  return {
    reason: 'VerifyJobFailed',
    message: `Job ${name} failed without a report: ${why}; see kubectl describe job -n ${namespace} ${name}`,
  }
}
