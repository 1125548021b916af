import { type Command, Option } from 'commander'
import { exitCodes } from './exit-code.ts'
import { type ClusterOptions, onCluster, outputOption, type WithClient } from './options.ts'
import type { Format } from './output.ts'
import type { ProgramDeps } from './program.ts'

type At = ClusterOptions & { systemNamespace: string; url: string }

const portForward = `
The ledger is asked at --url. From outside the cluster open a way to it first:
  kubectl -n hansa-system port-forward statefulset/hansa-ledger 8450
You need the right to make tokens of service account hansa-auditor (create serviceaccounts/token in the namespace of Hansa).`

/** `ledger verify|export|statement|dispute|erase`. */
export function addLedgerCommands(program: Command, deps: ProgramDeps, withClient: WithClient): void {
  const { io, signal } = deps
  const ledger = program
    .command('ledger')
    .description('What owners did for each other: statements, disputes, proofs')
    .helpCommand(false)
  const asking = (command: Command) =>
    onCluster(command)
      .option('--system-namespace <name>', 'namespace that Hansa is installed in', 'hansa-system')
      .option('--url <url>', 'where the ledger can be reached', 'https://127.0.0.1:8450')
      .addHelpText('after', portForward)

  ledger
    .command('verify')
    .description('Checks exports without a cluster, believing neither owner; exits 1 when anything is wrong')
    .argument('<file...>', 'exports; those of both sides, or of different days, are compared too')
    .option(
      '--root-key <trustdomain...>',
      'trust domain (hash of the first root key) that must be in it, as the owner told you by another way',
      [],
    )
    .addOption(outputOption())
    .action(async (files: string[], options: { rootKey: string[]; output: Format }) => {
      const { verifyFiles } = await import('./ledger/verify.ts')
      if (!(await verifyFiles(files, options, io))) deps.setExitCode(exitCodes.notReady)
    })

  asking(ledger.command('export'))
    .description('A month with a peer as one file that anybody can verify, or events for a SIEM system')
    .option('--peer <name>', 'name of the Peer')
    .option('--month <month>', 'such as 2026-11, in UTC')
    .addOption(
      new Option('--format <format>', 'jsonl: for verify; siem: events, one JSON object a line')
        .choices(['jsonl', 'siem'])
        .default('jsonl'),
    )
    .option('--after <sequence>', 'siem: only events behind this one')
    .requiredOption('-o, --output <file>', 'file to write; - for standard output')
    .action(
      async (
        options: Omit<At, 'output'> & {
          peer?: string
          month?: string
          format: 'jsonl' | 'siem'
          after?: string
          output: string
        },
      ) => {
        const { exportLedger } = await import('./ledger/read.ts')
        await withClient(options, (client) => exportLedger(options, { client, io, signal }))
      },
    )

  asking(ledger.command('statement'))
    .description('What was given to and taken from peers in a month, by service and cost centre')
    .option('--peer <name>', 'of this Peer only')
    .requiredOption('--month <month>', 'such as 2026-11, in UTC')
    .addOption(
      new Option('-o, --output <format>', 'output format').choices(['table', 'csv', 'json', 'yaml']).default('table'),
    )
    .action(async (options: Omit<At, 'output'> & { peer?: string; month: string; output: Format | 'csv' }) => {
      const { statement } = await import('./ledger/read.ts')
      await withClient(options, (client) => statement(options, { client, io, signal }))
    })

  const dispute = ledger.command('dispute').description('Claims that one side does not agree to').helpCommand(false)
  asking(dispute.command('list').alias('ls'))
    .description('Disputed claims, of both sides')
    .option('--peer <name>', 'with this Peer only')
    .addOption(outputOption())
    .action(async (options: At & { peer?: string }) => {
      const { listDisputes } = await import('./ledger/read.ts')
      await withClient(options, (client) => listDisputes(options, { client, io, signal }))
    })
  asking(dispute.command('show'))
    .description('Everything that is wrong with a claim, as the one says who disputes it')
    .argument('<claim>', 'REQUEST/EPOCH/NUMBER, as dispute list shows it')
    .option('--peer <name>', 'with this Peer only')
    .addOption(outputOption())
    .action(async (name: string, options: At & { peer?: string }) => {
      const { showDispute } = await import('./ledger/read.ts')
      await withClient(options, (client) => showDispute(name, options, { client, io, signal }))
    })
  asking(dispute.command('withdraw'))
    .description('Takes a dispute of ours back: the claim is agreed, for good')
    .argument('<claim>', 'REQUEST/EPOCH/NUMBER, as dispute list shows it')
    .requiredOption('--peer <name>', 'name of the Peer that made the claim')
    .option('--yes', 'agree without another question', false)
    .action(async (name: string, options: At & { peer: string; yes: boolean }) => {
      const { withdrawDispute } = await import('./ledger/read.ts')
      await withClient(options, (client) => withdrawDispute(name, options, { client, io, signal }))
    })

  asking(ledger.command('erase'))
    .description('Erases the name of a caller, and the salts by which receipts could be linked to it; proofs stay')
    .requiredOption('--caller <name>', 'as the access log of the gateway names it')
    .action(async (options: At & { caller: string }) => {
      const { eraseCaller } = await import('./ledger/read.ts')
      await withClient(options, (client) => eraseCaller(options, { client, io, signal }))
    })
}
