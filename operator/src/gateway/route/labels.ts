/** Label of worker pods and RemoteWorks: the InferenceService in the same namespace. */
export const serviceLabel = 'hansa.dev/inference-service'
/** Label of worker pods and RemoteWorks: revision of that service. */
export const revisionLabel = 'hansa.dev/revision'
