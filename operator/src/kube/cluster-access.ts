import type { SecureContextOptions } from 'node:tls'

export type ClusterTls = Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> & {
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

/** How to reach one API server and who to be there. */
export type ClusterAccess = {
  /** The cluster's name in logs and metrics. */
  readonly name: string
  /** Base URL, such as `https://10.96.0.1:443`. */
  readonly server: string
  /** The namespace that the access stands for: the pod's own, or the context's. */
  readonly namespace: string | undefined
  /** An HTTP CONNECT proxy on the way. */
  readonly proxyUrl?: string
  /** TLS settings for the next connection; the same object as long as nothing changed. */
  tls(): ClusterTls
  /** Headers that say who calls. `fresh`: the last ones were refused, so read the credentials anew. */
  headers(fresh: boolean): Promise<Readonly<Record<string, string>>>
}
