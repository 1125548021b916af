import type { Model } from '../api/model.ts'
import type { ModelReason } from '../api/model-reasons.ts'
import { modelReasons } from '../api/model-reasons.ts'
import { apiVersion } from '../api/resource.ts'
import { restricted, restrictedPod, sourceAccess, sourceVolume, workerModel } from '../inferenceservice/worker-pod.ts'
import { reportOf } from '../inferenceservice/workers.ts'
import type { Job } from '../kube/builtin.ts'
import type { Applied } from '../kube/client-types.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Pod } from '../kube/pod-types.ts'

export const modelLabel = 'hansa.dev/model'

export type Finding = { reason: ModelReason; message: string }

export type VerifySettings = {
  workerImage: string
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  imagePullSecrets: readonly string[]
}

export const verifyJobName = (model: string) => `${model}-verify`

/** The Job that mounts the claim read-only and checks the files in place; `verify` exits 1 when no retry can help. */
export function verifyJob(model: Model, settings: VerifySettings): Applied<Job> {
  const { pvc } = model.spec.source
  if (pvc === undefined) throw new Error(`Model ${model.metadata.name} is not on a claim`)
  const { mount, env } = sourceAccess(pvc.path)
  const labels = {
    'app.kubernetes.io/name': 'hansa-verify',
    'app.kubernetes.io/component': 'verify',
    'app.kubernetes.io/managed-by': 'hansa',
    [modelLabel]: model.metadata.name,
  }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: verifyJobName(model.metadata.name),
      namespace: model.metadata.namespace ?? '',
      labels,
      ownerReferences: [
        {
          apiVersion,
          kind: 'Model',
          name: model.metadata.name,
          uid: model.metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      backoffLimit: 4,
      podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1] } }] },
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: restrictedPod,
          ...(settings.imagePullSecrets.length > 0 && {
            imagePullSecrets: settings.imagePullSecrets.map((name) => ({ name })),
          }),
          containers: [
            {
              name: 'verify',
              image: settings.workerImage,
              imagePullPolicy: settings.imagePullPolicy,
              args: ['verify'],
              securityContext: restricted,
              terminationMessagePath: '/dev/termination-log',
              env: [
                { name: 'HANSA_MODEL', value: JSON.stringify(workerModel(model)) },
                ...(model.spec.entrypoint === undefined
                  ? []
                  : [{ name: 'HANSA_ENTRYPOINT', value: model.spec.entrypoint }]),
                { name: 'HANSA_TERMINATION_LOG', value: '/dev/termination-log' },
                { name: 'TMPDIR', value: '/tmp' },
                env,
              ],
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '1', memory: '1Gi' } },
              volumeMounts: [mount, { name: 'tmp', mountPath: '/tmp' }],
            },
          ],
          volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '256Mi' } }, sourceVolume(pvc.claimName)],
        },
      },
    },
  }
}

/** What the Job and its pods say so far. */
export function verifyResult(job: Job | undefined, pods: readonly Pod[]): Finding {
  const report = pods
    .flatMap((pod) => pod.status?.containerStatuses ?? [])
    .map((status) => reportOf(status.state?.terminated?.message))
    .findLast((each) => each !== undefined)
  const reason = modelReasons.find((known) => known === report?.reason)
  const failed = conditionOf(job?.status?.conditions, 'Failed')?.status === 'True'
  if (
    report !== undefined &&
    reason !== undefined &&
    (failed || conditionOf(job?.status?.conditions, 'Complete')?.status === 'True')
  ) {
    return { reason, message: report.file === undefined ? report.message : `file ${report.file}: ${report.message}` }
  }
  if (failed) {
    return {
      reason: 'VerifyJobFailed',
      message: `Job ${job?.metadata.name} failed without a report; see kubectl describe job -n ${job?.metadata.namespace} ${job?.metadata.name}`,
    }
  }
  const waiting = pods
    .map((pod) => conditionOf(pod.status?.conditions, 'PodScheduled'))
    .find((each) => each?.status === 'False')
  if (waiting !== undefined)
    return {
      reason: 'VolumeUnavailable',
      message: waiting.message ?? 'the pod that checks the claim cannot be scheduled',
    }
  return { reason: 'Fetching', message: 'a Job checks the files on the claim' }
}
