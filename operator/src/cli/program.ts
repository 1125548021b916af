import { Command, InvalidArgumentError, Option } from 'commander'
import type { KubeClient } from '../kube/client-types.ts'
import type { Connect, ConnectOptions } from './connect.ts'
import { exitCodeHelp, exitCodes } from './exit-code.ts'
import { addExplainCommand } from './explain-commands.ts'
import { addFreezeCommands } from './freeze-commands.ts'
import { addGuestCommands } from './guest-commands.ts'
import { addIdentityCommands } from './identity-commands.ts'
import type { Ask, Io } from './io.ts'
import { addKeyCommands } from './key-commands.ts'
import { addLedgerCommands } from './ledger-commands.ts'
import { type ClusterOptions, namespaceOption, onCluster, outputOption } from './options.ts'
import type { Format } from './output.ts'
import { addPeerCommands } from './peer-commands.ts'
import { addRolloutCommands } from './rollout-commands.ts'
import { serviceName } from './service-name.ts'
import { addViewCommands } from './view-commands.ts'

export type ProgramDeps = {
  readonly io: Io
  readonly connect: Connect
  readonly version: string
  readonly signal: AbortSignal
  /** Random bytes for keys; those of node:crypto when left out. */
  readonly random?: (bytes: number) => Uint8Array
  /** Asks a question and reads one line; undefined at the end of input. Left out: nobody is there to answer. */
  readonly ask?: Ask
  setExitCode(code: number): void
}

const defaultMaxBytes = 100 * 1024 ** 3
const systemNamespace = 'hansa-system'

/** The command line; each command imports what it needs when it runs, so that help comes at once. */
export function createProgram(deps: ProgramDeps): Command {
  const { io, signal } = deps
  const program = new Command('kubectl-hansa')
    .description('Hansa on the command line. As a kubectl plugin: kubectl hansa ...')
    .addHelpText('after', exitCodeHelp)
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      getOutHasColors: () => io.colour,
    })
    .exitOverride()
    .helpCommand(false)

  /** Runs an action with a client, and closes it whatever comes. */
  async function withClient<T>(options: ConnectOptions, action: (client: KubeClient) => Promise<T>): Promise<T> {
    const client = await deps.connect(options)
    try {
      return await action(client)
    } finally {
      await client.close()
    }
  }

  onCluster(program.command('list').alias('ls'))
    .description('InferenceServices with their conditions')
    .addOption(namespaceOption())
    .option('-A, --all-namespaces', 'those of all namespaces')
    .addOption(outputOption())
    .action(async (options: ClusterOptions & { allNamespaces?: boolean }) => {
      const { list } = await import('./list.ts')
      await withClient(options, (client) => {
        const namespace =
          options.allNamespaces === true ? undefined : (options.namespace ?? client.namespace ?? 'default')
        return list(client, { namespace, output: options.output }, io, signal)
      })
    })

  onCluster(program.command('status'))
    .description(
      'One InferenceService from model to owners and pods, with what to do about what is wrong; exits 1 while it is not Ready',
    )
    .argument('<name>', 'NAME or infer/NAME of the InferenceService', serviceName)
    .addOption(namespaceOption())
    .addOption(outputOption())
    .action(async (name: string, options: ClusterOptions) => {
      const { status } = await import('./status.ts')
      const ready = await withClient(options, (client) => {
        const namespace = options.namespace ?? client.namespace ?? 'default'
        return status(client, { name, namespace, output: options.output }, io, signal)
      })
      if (!ready) deps.setExitCode(exitCodes.notReady)
    })

  onCluster(program.command('check'))
    .description('Whether Hansa is installed and runs, with a fix for what is not; exits 1 when something failed')
    .option('--system-namespace <name>', 'namespace that Hansa is installed in', systemNamespace)
    .addOption(outputOption())
    .action(async (options: ClusterOptions & { systemNamespace: string }) => {
      const { check } = await import('./check.ts')
      const well = await withClient(options, (client) => check(client, options, io, signal))
      if (!well) deps.setExitCode(exitCodes.notReady)
    })

  addExplainCommand(program, deps, withClient)
  addRolloutCommands(program, deps, withClient)

  const model = program.command('model').description('Models').helpCommand(false)
  model
    .command('add')
    .description('Reads the files of a model once and prints a Model with their digests and sizes, for kubectl apply')
    .argument(
      '<source>',
      'https URL of one file, https URL of a folder (ends in "/", with --file), oci://REGISTRY/NAME:TAG, hf://ORG/NAME[@REVISION], or a local folder',
    )
    .option('--name <name>', 'name of the Model; default: from the last parts of the source')
    .addOption(namespaceOption())
    .addOption(
      new Option('--format <format>', 'format of the files').choices(['ONNX', 'TrainingBundle']).default('ONNX'),
    )
    .option('--licence <expression>', 'SPDX licence expression of the weights')
    .option('--entrypoint <path>', 'the .onnx file to load, where there are several')
    .option('--file <path...>', 'files below the folder', [])
    .option('--embedding', 'the model turns texts into vectors; needs a tokenizer.json among the files')
    .addOption(
      new Option('--pooling <kind>', 'how the vectors of tokens become one; default: Mean').choices([
        'Mean',
        'CLS',
        'None',
      ]),
    )
    .addOption(new Option('--max-tokens <count>', 'longest text in tokens; default: 512').argParser(tokens))
    .option(
      '--include <glob...>',
      'oci:// and hf://: files to take; default: all of an artifact, or what ONNX needs',
      [],
    )
    .option('--exclude <glob...>', 'oci:// and hf://: files to leave out', [])
    .option('--endpoint <url>', 'hf://: base URL of the hub; default: https://huggingface.co/')
    .addOption(new Option('--max-bytes <bytes>', 'most bytes to read in all').argParser(bytes).default(defaultMaxBytes))
    .option('--ca-file <path>', 'certificates (PEM) of a private authority, instead of the public ones')
    .option('--token-file <path>', 'file with a bearer token for the source')
    .option('--username <name>', 'oci://: user of the registry, with --password-file')
    .option('--password-file <path>', 'oci://: file with the password of the user')
    .option('--credentials-secret <name>', 'Secret that the fetch worker shall use, written into the Model')
    .option('--local-path <path>', 'for a local folder: where it lies below the local root of the fetch worker')
    .option('--claim-name <name>', 'for a local folder: PersistentVolumeClaim that holds the files')
    .option('--claim-path <path>', 'folder below the root of the claim')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['yaml', 'json']).default('yaml'))
    .action(async (source: string, options) => {
      const { modelAdd } = await import('./model-add.ts')
      await modelAdd(source, options, io, signal)
    })

  addKeyCommands(program, deps, withClient)
  addIdentityCommands(program, deps, withClient)
  addPeerCommands(program, deps, withClient)
  addGuestCommands(program, deps, withClient)
  addFreezeCommands(program, deps, withClient)
  addLedgerCommands(program, deps, withClient)
  addViewCommands(program, deps, withClient)

  program
    .command('version')
    .description('Version of this command and of the API that it speaks')
    .addOption(outputOption())
    .action(async (options: { output: Format }) => {
      const { apiVersion } = await import('../api/resource.ts')
      const versions = { version: deps.version, apiVersion }
      if (options.output === 'table') {
        io.out(`kubectl-hansa ${versions.version}, ${apiVersion}\n`)
        return
      }
      const { printObject } = await import('./output.ts')
      await printObject(io, options.output, versions)
    })

  program
    .command('completion')
    .description('Completion script for bash and zsh')
    .action(async () => {
      const { completionScript } = await import('./completion.ts')
      io.out(completionScript(program))
    })

  return program
}

function tokens(text: string): number {
  const count = Number(text)
  if (!/^[1-9][0-9]{0,5}$/.test(text) || count > 131_072) throw new InvalidArgumentError('must be from 1 to 131072')
  return count
}

function bytes(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new InvalidArgumentError('must be a number of bytes, such as 1073741824')
  return Number(text)
}
