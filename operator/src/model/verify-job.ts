import type { Model } from '../api/model.ts'
import { apiVersion } from '../api/resource.ts'
import { revisionOf } from '../inferenceservice/revision.ts'
import { restricted, restrictedPod, sourceAccess, sourceVolume, workerModel } from '../inferenceservice/worker-pod.ts'
import type { Job } from '../kube/builtin.ts'
import type { Applied } from '../kube/client-types.ts'
import type { PodTemplate } from '../kube/pod-types.ts'

export const modelLabel = 'hansa.dev/model'

export type VerifySettings = {
  workerImage: string
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  imagePullSecrets: readonly string[]
  allowedDomains: readonly string[]
}

// A Job that ended goes after this; where it failed the files are then checked once more, so that a repaired claim is noticed.
const keptSeconds = 3600
// A claim that gives less than this is as good as hung.
const slowestBytesPerSecond = 20_000_000

/**
 * The Job that mounts the claim read-only and checks the files in place; `verify` exits 1 when no retry can help. Its name
 * follows from its pod template, which nobody can change once it is there: another worker image, or another Model of the same
 * name, is another Job.
 */
export function verifyJob(model: Model, settings: VerifySettings): Applied<Job> {
  const { pvc } = model.spec.source
  if (pvc === undefined) throw new Error(`Model ${model.metadata.name} is not on a claim`)
  const labels = {
    'app.kubernetes.io/name': 'hansa-verify',
    'app.kubernetes.io/component': 'verify',
    'app.kubernetes.io/managed-by': 'hansa',
    [modelLabel]: model.metadata.name,
  }
  const template = podTemplate(model, settings, pvc, labels)
  const bytes = model.spec.files.reduce((sum, file) => sum + file.sizeBytes, 0)
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `${model.metadata.name}-verify-${revisionOf(template)}`,
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
      activeDeadlineSeconds: keptSeconds + Math.ceil(bytes / slowestBytesPerSecond),
      ttlSecondsAfterFinished: keptSeconds,
      template,
    },
  }
}

function podTemplate(
  model: Model,
  settings: VerifySettings,
  pvc: NonNullable<Model['spec']['source']['pvc']>,
  labels: Record<string, string>,
): PodTemplate {
  const { mount, env } = sourceAccess(pvc.path, settings.allowedDomains)
  const { entrypoint } = model.spec
  return {
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
            ...(entrypoint === undefined ? [] : [{ name: 'HANSA_ENTRYPOINT', value: entrypoint }]),
            { name: 'HANSA_TERMINATION_LOG', value: '/dev/termination-log' },
            { name: 'TMPDIR', value: '/tmp' },
            ...env,
          ],
          resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { cpu: '1', memory: '1Gi' } },
          volumeMounts: [mount, { name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '256Mi' } }, sourceVolume(pvc.claimName)],
    },
  }
}
