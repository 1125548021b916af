/** What every worker pod is told, the same for all services of one installation. */
export type WorkerSettings = {
  workerImage: string
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never'
  imagePullSecrets: readonly string[]
  /** Operator domains that models on a claim may use beside the usual ones. */
  allowedDomains: readonly string[]
  /** Namespace of operator, gateway and fetch. */
  systemNamespace: string
  trustDomain: string
  /** The certificate authority's bundle, PEM. */
  caPem: string
  caUrl: string
  fetchUrl: string
  /** The cache of a worker's node; none where it is not set. */
  cacheUrl?: string
  /** Receiver of traces; none where it is not set. */
  otlpEndpoint?: string
  /** Base of `status.url`, without a slash at the end. */
  gatewayUrl: string
}
