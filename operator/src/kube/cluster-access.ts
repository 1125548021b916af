import type { SecureContextOptions } from 'node:tls'

/** How to reach one API server and who to be there. */
export type ClusterAccess = {
  /** The cluster's name in logs and metrics. */
  readonly name: string
  /** Base URL, such as `https://10.96.0.1:443`. */
  readonly server: string
  /** The namespace that the access stands for: the pod's own, or the context's. */
  readonly namespace: string | undefined
  readonly tls: Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> & {
    readonly servername?: string
    readonly rejectUnauthorized?: boolean
  }
  /** An HTTP CONNECT proxy on the way. */
  readonly proxyUrl?: string
  /** The value of the header `authorization`, or undefined where the client certificate says it all. */
  authorization(signal: AbortSignal): Promise<string | undefined>
}
