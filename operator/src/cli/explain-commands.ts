import type { Command } from 'commander'
import { type ClusterOptions, namespaceOption, onCluster, outputOption, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'
import { serviceName } from './service-name.ts'

/** `kubectl hansa explain`. */
export function addExplainCommand(program: Command, deps: ProgramDeps, withClient: WithClient): void {
  const { io, signal } = deps
  onCluster(program.command('explain'))
    .description('For each owner why it runs workers of an InferenceService or why not, with numbers; asks nobody')
    .argument('<name>', 'NAME or infer/NAME of the InferenceService', serviceName)
    .option(
      '--if <key=value...>',
      'what if: strategy=NAME, replicas=N, maxPrice=EUR:MICROS, maxLatency=MS, minOwners=N, maxShare=PERMILLE, own=N, without=PEER, PEER=N (its maxReplicas)',
      [],
    )
    .addOption(namespaceOption())
    .addOption(outputOption())
    .action(async (name: string, options: ClusterOptions & { if: string[] }) => {
      const { explain } = await import('./explain.ts')
      await withClient(options, (client) => {
        const namespace = options.namespace ?? client.namespace ?? 'default'
        return explain(client, { name, namespace, changes: options.if, output: options.output }, io, signal)
      })
    })
}
