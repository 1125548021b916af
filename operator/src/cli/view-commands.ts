import type { Command } from 'commander'
import { exitCodes } from './exit-code.ts'
import { type ClusterOptions, namespaceOption, onCluster, outputOption, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'
import { serviceName } from './service-name.ts'

type SystemOptions = ClusterOptions & { systemNamespace: string }

const systemNamespace = ['--system-namespace <name>', 'namespace that Hansa is installed in', 'hansa-system'] as const

/** `peers`, `cost`, `layers`: what people see of work between owners. */
export function addViewCommands(program: Command, deps: ProgramDeps, withClient: WithClient): void {
  const { io, signal } = deps

  onCluster(program.command('peers'))
    .description('All Peers: owner, connection, what they offer in bands, leases taken and given')
    .option(...systemNamespace)
    .addOption(outputOption())
    .action(async (options: SystemOptions) => {
      const { showPeers } = await import('./peers.ts')
      await withClient(options, (client) => showPeers(client, options, io, signal))
    })

  onCluster(program.command('cost'))
    .description(
      'What leases of peers cost now per hour and so far, per peer and service: price times GPU seconds as the executor metered them, of leases whose objects still exist. ' +
        'This is an estimate that nobody has agreed to; settled figures are in the statements of the ledger: kubectl hansa ledger statement',
    )
    .argument('[name]', 'NAME or infer/NAME of one InferenceService; default: all of the namespace', serviceName)
    .addOption(namespaceOption())
    .option('-A, --all-namespaces', 'all namespaces, and what the guests of peers bring')
    .option('--month', 'also what 730 hours would cost if all went on as now')
    .option(...systemNamespace)
    .addOption(outputOption())
    .action(
      async (
        name: string | undefined,
        options: SystemOptions & { allNamespaces?: boolean; month?: boolean },
        command,
      ) => {
        const { allNamespaces = false, month = false, output } = options
        if (allNamespaces && name !== undefined) command.error('error: give a name or --all-namespaces, not both')
        const { cost } = await import('./cost.ts')
        await withClient(options, (client) => {
          const namespace = allNamespaces ? undefined : (options.namespace ?? client.namespace ?? 'default')
          const { systemNamespace: system } = options
          return cost(client, { name, namespace, systemNamespace: system, month, output }, io, signal)
        })
      },
    )

  onCluster(program.command('layers'))
    .description(
      'How decentralized each layer of an InferenceService is: owners, largest share, Herfindahl-Hirschman index, fewest owners that can stop it; and what other placements would cost. ' +
        'Exits 1 while spec.placement.requirements are broken',
    )
    .argument('<name>', 'NAME or infer/NAME of the InferenceService', serviceName)
    .addOption(namespaceOption())
    .option(
      '--ledger-url <url>',
      'asks the ledger there who has cosigned its last checkpoint, such as https://127.0.0.1:8450; without it the layer Ledger is a range',
    )
    .option(...systemNamespace)
    .addOption(outputOption())
    .action(async (name: string, options: SystemOptions & { ledgerUrl?: string }) => {
      const { showLayers } = await import('./layers.ts')
      const holds = await withClient(options, (client) => {
        const namespace = options.namespace ?? client.namespace ?? 'default'
        return showLayers(client, { ...options, name, namespace }, io, signal)
      })
      if (!holds) deps.setExitCode(exitCodes.notReady)
    })
}
