import { type Command, Option } from 'commander'
import type { KubeClient } from '../kube/client-types.ts'
import type { ConnectOptions } from './connect.ts'
import type { Format } from './output.ts'

/** What every command that talks to a cluster can be told. */
export type ClusterOptions = { kubeconfig?: string; context?: string; namespace?: string; output: Format }

/** Runs an action with a client, and closes it whatever comes. */
export type WithClient = <T>(options: ConnectOptions, action: (client: KubeClient) => Promise<T>) => Promise<T>

/** Adds the options that say which cluster. */
export function onCluster(command: Command): Command {
  return command
    .option('--kubeconfig <path>', 'kubeconfig file; default: $KUBECONFIG, then ~/.kube/config')
    .option('--context <name>', 'context of the kubeconfig; default: its current one')
}

export const namespaceOption = () => new Option('-n, --namespace <name>', "namespace; default: the context's")
export const outputOption = () =>
  new Option('-o, --output <format>', 'output format').choices(['table', 'json', 'yaml']).default('table')
