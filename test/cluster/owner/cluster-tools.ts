import { join } from 'node:path'
import type { Cluster, TokenOptions } from '../cluster.ts'
import type { ApiClient } from './api-request.ts'
import { runTool } from './run-tool.ts'

export interface ToolContext {
  readonly kubectl: string
  readonly helm: string
  readonly kubeconfigPath: string
  /** Where the tools may keep caches, so that the user's own settings neither matter nor change. */
  readonly home: string
  readonly client: ApiClient
}

/** The parts of a cluster that only need a kubeconfig. */
export function clusterTools(context: ToolContext): Pick<Cluster, 'kubectl' | 'helm' | 'request' | 'createToken'> {
  const env = {
    ...process.env,
    KUBECONFIG: context.kubeconfigPath,
    KUBECACHEDIR: join(context.home, 'kubectl'),
    KUBERC: 'off',
    HELM_CACHE_HOME: join(context.home, 'helm/cache'),
    HELM_CONFIG_HOME: join(context.home, 'helm/config'),
    HELM_DATA_HOME: join(context.home, 'helm/data'),
  }
  return {
    kubectl: (args, { as, ...options } = {}) =>
      runTool(context.kubectl, [...(as ? [`--as=${as}`] : []), ...args], {
        ...options,
        env: { ...env, ...options.env },
      }),
    helm: (args, options = {}) => runTool(context.helm, args, { ...options, env: { ...env, ...options.env } }),
    request: (request) => context.client.send(request),
    createToken: (serviceAccount, namespace, options) =>
      createToken(context.client, serviceAccount, namespace, options),
  }
}

async function createToken(
  client: ApiClient,
  serviceAccount: string,
  namespace: string,
  { audience, seconds = 3_600 }: TokenOptions = {},
): Promise<string> {
  const response = await client.send({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: seconds, ...(audience === undefined ? {} : { audiences: [audience] }) },
    },
  })
  const token = (response.body as { status?: { token?: unknown } }).status?.token
  if (typeof token !== 'string') {
    throw new Error(`no token for ${namespace}/${serviceAccount}: ${JSON.stringify(response.body)}`)
  }
  return token
}
