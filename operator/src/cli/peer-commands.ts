import { randomBytes } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { hostAndPortLength, hostAndPortPattern, proxyUrlLength, proxyUrlPattern } from '../api/address-patterns.ts'
import { exitCodes } from './exit-code.ts'
import { duration } from './key-commands.ts'
import { type ClusterOptions, onCluster, outputOption, type WithClient } from './options.ts'
import type { Reach } from './peer/reach.ts'
import type { ProgramDeps } from './program.ts'

type FileOptions = ClusterOptions & Reach & { identity: string; file?: string; dryRun?: boolean }

const defaultLifeSeconds = 7 * 86_400

/** `peer invite|accept|complete|fingerprint|verify|list|show|freeze|unfreeze|leave`. */
export function addPeerCommands(program: Command, deps: ProgramDeps, withClient: WithClient): void {
  const { io, signal, ask, random = randomBytes } = deps
  const peer = program
    .command('peer')
    .description("Other owners' clusters: joining, freezing, leaving")
    .helpCommand(false)

  reachOptions(onCluster(peer.command('invite')))
    .description('Makes a Peer that waits for an acceptance, and writes the invite; it holds no secret and works once')
    .argument('<name>', 'name that the Peer shall have here')
    .requiredOption('--identity <name>', 'Identity by which the other side shall know us')
    .option('--expires <duration>', 'until when it can be accepted, such as 12h, 7d (default: 7d)', duration)
    .option('-o, --file <path>', 'file to write; default: standard output')
    .option('--dry-run', 'only say what the other side will be able to ask and see')
    .action(async (name: string, options: FileOptions & { expires?: number }) => {
      const { invitePeer } = await import('./peer/invite.ts')
      const lifeSeconds = options.expires ?? defaultLifeSeconds
      const { file, dryRun = false } = options
      await withClient(options, (client) =>
        invitePeer(client, { ...options, name, lifeSeconds, file, dryRun }, { io, signal, random }),
      )
    })

  reachOptions(onCluster(peer.command('accept')))
    .description('Takes an invite: pins the key of the inviter, unverified, and writes the acceptance')
    .argument('<file>', 'the invite')
    .requiredOption('--name <name>', 'name that the Peer shall have here')
    .requiredOption('--identity <name>', 'Identity by which the other side shall know us')
    .option('-o, --file <path>', 'file to write; default: standard output')
    .option('--dry-run', 'only say what the other side will be able to ask and see')
    .action(async (invite: string, options: FileOptions & { name: string }) => {
      const { acceptInvite } = await import('./peer/accept.ts')
      const { file, dryRun = false } = options
      await withClient(options, (client) =>
        acceptInvite(client, { ...options, invite, file, dryRun }, { io, signal, random }),
      )
    })

  reachOptions(onCluster(peer.command('complete')))
    .description('Takes the acceptance of one of our invites: pins the key of the accepter, unverified')
    .argument('<file>', 'the acceptance')
    .action(async (acceptance: string, options: ClusterOptions & Reach) => {
      const { completeJoin } = await import('./peer/complete.ts')
      await withClient(options, (client) => completeJoin(client, { ...options, acceptance }, { io, signal }))
    })

  onCluster(peer.command('fingerprint'))
    .description('Our fingerprint of a join, to be read out to the other admin over the telephone')
    .argument('<name>', 'name of the Peer')
    .action(async (name: string, options: ClusterOptions) => {
      const { showFingerprint } = await import('./peer/verify.ts')
      await withClient(options, (client) => showFingerprint(client, { name }, { io, signal }))
    })

  onCluster(peer.command('verify'))
    .description('Asks for the fingerprint that the other admin reads out; the right one makes the Peer Verified')
    .argument('<name>', 'name of the Peer')
    .option('--fingerprint <digits>', 'what the other admin read out, for scripts')
    .action(async (name: string, options: ClusterOptions & { fingerprint?: string }) => {
      const { verifyPeer } = await import('./peer/verify.ts')
      await withClient(options, (client) => verifyPeer(client, { ...options, name }, { io, signal, ask }))
    })

  onCluster(peer.command('list').alias('ls'))
    .description('Peers with their conditions')
    .addOption(outputOption())
    .action(async (options: ClusterOptions) => {
      const { listPeers } = await import('./peer/list.ts')
      await withClient(options, (client) => listPeers(client, options, { io, signal }))
    })

  onCluster(peer.command('show'))
    .description('One Peer with what is wrong and what to do; exits 1 while it is not Ready')
    .argument('<name>', 'name of the Peer')
    .addOption(outputOption())
    .action(async (name: string, options: ClusterOptions) => {
      const { showPeer } = await import('./peer/list.ts')
      const ready = await withClient(options, (client) => showPeer(client, { ...options, name }, { io, signal }))
      if (!ready) deps.setExitCode(exitCodes.notReady)
    })

  onCluster(peer.command('freeze'))
    .description('Stops all work with a Peer until unfreeze: its guests here, our requests to it, its connections')
    .argument('<name>', 'name of the Peer')
    .requiredOption('--reason <text>', 'why, for those who look at the Peer later')
    .action(async (name: string, options: ClusterOptions & { reason: string }) => {
      const { freezePeer } = await import('./peer/freeze.ts')
      await withClient(options, (client) => freezePeer(client, { ...options, name }, { io, signal }))
    })

  onCluster(peer.command('unfreeze'))
    .description('Ends a freeze')
    .argument('<name>', 'name of the Peer')
    .action(async (name: string, options: ClusterOptions) => {
      const { unfreezePeer } = await import('./peer/freeze.ts')
      await withClient(options, (client) => unfreezePeer(client, { name }, { io, signal }))
    })

  onCluster(peer.command('leave'))
    .description('Deletes a Peer; the other side is told if it is connected, and waited for in no case')
    .argument('<name>', 'name of the Peer')
    .option('--yes', 'do not ask for the name')
    .action(async (name: string, options: ClusterOptions & { yes?: boolean }) => {
      const { leavePeer } = await import('./peer/leave.ts')
      await withClient(options, (client) => leavePeer(client, { name, yes: options.yes === true }, { io, signal, ask }))
    })
}

function reachOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--dial <who>', 'who opens connections; default: whoever can, by the addresses').choices([
        'Us',
        'Them',
        'Both',
      ]),
    )
    .option('--address <host:port>', 'where we reach their link; default: what their bundle says', address)
    .option('--data-address <host:port>', 'where we reach their gateway; default: what their bundle says', address)
    .option('--proxy <url>', 'HTTP proxy on our way out, http://host:port', proxy)
}

function address(text: string): string {
  if (text.length <= hostAndPortLength && hostAndPortPattern.test(text)) return text
  throw new InvalidArgumentError('must be host:port, with IPv6 addresses in brackets')
}

function proxy(text: string): string {
  if (text.length <= proxyUrlLength && proxyUrlPattern.test(text)) return text
  throw new InvalidArgumentError('must be http://host:port or https://host:port')
}
