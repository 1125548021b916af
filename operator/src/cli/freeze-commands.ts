import type { Command } from 'commander'
import { type ClusterOptions, onCluster, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'

/** `freeze` and `unfreeze`: the one switch for all foreign work. */
export function addFreezeCommands(program: Command, { io, signal }: ProgramDeps, withClient: WithClient): void {
  const add = (name: string, description: string, suspend: boolean) =>
    onCluster(program.command(name))
      .description(description)
      .option('--identity <name>', 'only that of one Identity')
      .action(async (options: ClusterOptions & { identity?: string }) => {
        const { freezeAll } = await import('./peer/freeze.ts')
        const { identity } = options
        await withClient(options, (client) => freezeAll(client, { identity, suspend }, { io, signal }))
      })
  add('freeze', 'Stops all work with other owners: guests here, requests to them, connections', true)
  add('unfreeze', 'Ends a freeze', false)
}
