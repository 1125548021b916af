import type { Command } from 'commander'
import type { identityOrders } from '../api/identity.ts'
import { exitCodes } from './exit-code.ts'
import type { CreateIdentityOptions } from './identity.ts'
import { type ClusterOptions, onCluster, outputOption, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'

/** `identity create|show|rotate-root|revoke-keys|revoke`. */
export function addIdentityCommands(program: Command, deps: ProgramDeps, withClient: WithClient): void {
  const { io, signal, ask } = deps
  const identity = program.command('identity').description('Who this cluster is to other owners').helpCommand(false)

  onCluster(identity.command('create'))
    .description('Makes an Identity; the operator creates its keys')
    .argument('<name>', 'name of the Identity')
    .requiredOption('--owner <id>', 'name of the owner, as others shall call it')
    .option('--cluster <name>', 'name of this cluster among those of the owner (default: main)')
    .option('--federation <name>', 'federation that it is for; take another Identity for each (default: default)')
    .option('--contact <text>', 'how admins of peers reach a person; peers see it')
    .option('--address <host:port>', 'where peers reach our link; left out: nobody can dial us')
    .option('--data-address <host:port>', 'where gateways of peers reach our gateway')
    .action(async (name: string, options: ClusterOptions & CreateIdentityOptions) => {
      const { createIdentity } = await import('./identity.ts')
      await withClient(options, (client) => createIdentity(client, name, options, { io, signal }))
    })

  onCluster(identity.command('show'))
    .description('One Identity; exits 1 while it is not Ready')
    .argument('<name>', 'name of the Identity')
    .addOption(outputOption())
    .action(async (name: string, options: ClusterOptions) => {
      const { showIdentity } = await import('./identity.ts')
      const ready = await withClient(options, (client) => showIdentity(client, { ...options, name }, { io, signal }))
      if (!ready) deps.setExitCode(exitCodes.notReady)
    })

  const order = (command: string, description: string, which: keyof typeof identityOrders, confirmed: boolean) => {
    const added = onCluster(identity.command(command))
      .description(description)
      .argument('<name>', 'name of the Identity')
    if (confirmed) added.option('--yes', 'do not ask for the name')
    added.action(async (name: string, options: ClusterOptions & { yes?: boolean }) => {
      const { orderIdentity } = await import('./identity.ts')
      const yes = options.yes === true
      await withClient(options, (client) => orderIdentity(client, { name, order: which, yes }, { io, signal, ask }))
    })
  }
  order(
    'rotate-root',
    'Makes the next root key, signed by the present one; no Peer has to join again',
    'rotateRoot',
    false,
  )
  order(
    'revoke-keys',
    'Revokes all keys below the root key and makes new ones: for keys that were stolen',
    'revokeKeys',
    false,
  )
  order('revoke', 'Gives the identity up for ever: for a root key that was stolen', 'revokeIdentity', true)
}
