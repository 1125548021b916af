import type { ApiRequest, ApiResponse } from './owner/api-request.ts'
import type { ToolOptions, ToolResult } from './owner/run-tool.ts'

/** What a test can do with any Kubernetes cluster, be it ours or the user's. */
export interface Cluster {
  readonly name: string
  readonly serverUrl: string
  readonly caPem: string
  /** An administrator's kubeconfig with one context. */
  readonly kubeconfigPath: string
  /** Runs kubectl as administrator, or as the user or service account `as`. */
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<ToolResult>
  /** Runs helm as administrator, with caches and settings of its own. */
  helm(args: readonly string[], options?: ToolOptions): Promise<ToolResult>
  /** Sends one request as administrator, or with `token`. */
  request(request: ApiRequest): Promise<ApiResponse>
  /** Asks the TokenRequest API for a token of a service account. */
  createToken(serviceAccount: string, namespace: string, options?: TokenOptions): Promise<string>
  stop(): Promise<void>
}

export interface KubectlOptions extends ToolOptions {
  /** A user to impersonate, as `system:serviceaccount:NAMESPACE:NAME`. */
  readonly as?: string
}

export interface TokenOptions {
  /** Default: the API server. */
  readonly audience?: string
  /** Lifetime; the API server grants no less than 600. Default 3600. */
  readonly seconds?: number
}
