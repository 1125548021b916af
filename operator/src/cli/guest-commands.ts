import type { Command } from 'commander'
import { type ClusterOptions, onCluster, outputOption, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'

type GuestOptions = ClusterOptions & { systemNamespace: string; reason: string }

/** `guest list|stop|preempt`. */
export function addGuestCommands(program: Command, { io, signal }: ProgramDeps, withClient: WithClient): void {
  const guest = program.command('guest').description('Work that peers run here').helpCommand(false)
  const add = (name: string) =>
    onCluster(guest.command(name)).option(
      '--system-namespace <name>',
      'namespace that Hansa is installed in',
      'hansa-system',
    )

  add('list')
    .alias('ls')
    .description('What peers ask to run here, and what was decided')
    .addOption(outputOption())
    .action(async (options: GuestOptions) => {
      const { listGuests } = await import('./guest.ts')
      const { systemNamespace: namespace, output } = options
      await withClient(options, (client) => listGuests(client, { namespace, output }, { io, signal }))
    })

  const veto = (action: 'stop' | 'preempt', description: string) =>
    add(action)
      .description(description)
      .argument('<name>', 'name of the GuestWork')
      .requiredOption('--reason <text>', 'why; the requester sees it')
      .action(async (name: string, options: GuestOptions) => {
        const { vetoGuest } = await import('./guest.ts')
        const { systemNamespace: namespace, reason } = options
        await withClient(options, (client) => vetoGuest(client, { name, namespace, action, reason }, { io, signal }))
      })
  veto('stop', 'Ends guest work for good')
  veto('preempt', 'Ends guest work now; the requester may ask again')
}
