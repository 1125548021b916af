export const fieldManager = 'hansa-inferenceservice'

export const serviceLabel = 'hansa.dev/inference-service'
/** Of a service, or else of its namespace: who pays, as statements of the ledger show it. */
export const costCentreLabel = 'hansa.dev/cost-centre'
export const revisionLabel = 'hansa.dev/revision'

/** Label by which Kueue knows the LocalQueue of a pod. */
export const queueLabel = 'kueue.x-k8s.io/queue-name'

/** Selects every object that Hansa makes; stores watch with it. */
export const managedSelector = 'app.kubernetes.io/managed-by=hansa'

export const workerServiceAccount = (service: string) => `${service}-worker`
export const deploymentName = (service: string, revision: string) => `${service}-${revision}`

/** Labels of a service's workers, whatever their revision. */
export function serviceLabels(service: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'hansa-worker',
    'app.kubernetes.io/component': 'worker',
    'app.kubernetes.io/managed-by': 'hansa',
    [serviceLabel]: service,
  }
}

/** Labels of the workers of one revision. */
export function revisionLabels(service: string, revision: string): Record<string, string> {
  return { ...serviceLabels(service), [revisionLabel]: revision }
}

/** Selector of a service's workers as text, for `status.selector` and the scale subresource. */
export function workerSelector(service: string): string {
  return `app.kubernetes.io/component=worker,${serviceLabel}=${service}`
}
