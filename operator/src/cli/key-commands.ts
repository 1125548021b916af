import { randomBytes } from 'node:crypto'
import { type Command, InvalidArgumentError } from 'commander'
import { type ClusterOptions, namespaceOption, onCluster, outputOption, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'

type CreateOptions = ClusterOptions & {
  service: string[]
  expires?: number
  never?: boolean
  requestsPerMinute?: number
  inFlight?: number
  description?: string
}

const defaultLifeSeconds = 90 * 86_400
const defaultGraceSeconds = 86_400

/** `key create|rotate|list|revoke`. */
export function addKeyCommands(
  program: Command,
  { io, signal, random = randomBytes }: ProgramDeps,
  withClient: WithClient,
): void {
  const key = program.command('key').description('Access keys of programs').helpCommand(false)

  onCluster(key.command('create'))
    .description('Makes an AccessKey and prints the key itself: this once, since only its hash is kept')
    .argument('<name>', 'name of the AccessKey')
    .requiredOption('--service <name...>', 'InferenceServices of the namespace that it opens')
    .option('--expires <duration>', 'how long the key is accepted, such as 12h, 90d (default: 90d)', duration)
    .option('--never', 'no end: the key is accepted until it is revoked')
    .option('--requests-per-minute <count>', 'most requests a minute in one gateway', count)
    .option('--in-flight <count>', 'most requests at once in one gateway', count)
    .option('--description <text>', 'who gets it, and what for')
    .addOption(namespaceOption())
    .addOption(outputOption())
    .action(async (name: string, options: CreateOptions) => {
      const { createKey } = await import('./key.ts')
      const lifeSeconds = options.never === true ? undefined : (options.expires ?? defaultLifeSeconds)
      await withClient(options, (client) =>
        createKey(
          client,
          { ...options, name, lifeSeconds, namespace: namespaceOf(options, client) },
          { io, signal, random },
        ),
      )
    })

  onCluster(key.command('rotate'))
    .description('Adds a new secret to an AccessKey and prints it once; the old ones are accepted for a while longer')
    .argument('<name>', 'name of the AccessKey')
    .option(
      '--grace <duration>',
      'how long the old secrets are still accepted (default: 24h; 0s: not at all)',
      duration,
    )
    .option('--expires <duration>', 'how long the new secret is accepted (default: 90d)', duration)
    .option('--never', 'no end for the new secret')
    .addOption(namespaceOption())
    .addOption(outputOption())
    .action(async (name: string, options: ClusterOptions & { grace?: number; expires?: number; never?: boolean }) => {
      const { rotateKey } = await import('./key.ts')
      const lifeSeconds = options.never === true ? undefined : (options.expires ?? defaultLifeSeconds)
      const graceSeconds = options.grace ?? defaultGraceSeconds
      await withClient(options, (client) =>
        rotateKey(
          client,
          { name, lifeSeconds, graceSeconds, output: options.output, namespace: namespaceOf(options, client) },
          { io, signal, random },
        ),
      )
    })

  onCluster(key.command('list').alias('ls'))
    .description('AccessKeys with what they open and until when; never the keys')
    .addOption(namespaceOption())
    .addOption(outputOption())
    .action(async (options: ClusterOptions) => {
      const { listKeys } = await import('./key.ts')
      await withClient(options, (client) =>
        listKeys(client, { namespace: namespaceOf(options, client), output: options.output }, { io, signal }),
      )
    })

  onCluster(key.command('revoke'))
    .description('Deletes an AccessKey; gateways refuse it within seconds')
    .argument('<name>', 'name of the AccessKey')
    .addOption(namespaceOption())
    .action(async (name: string, options: ClusterOptions) => {
      const { revokeKey } = await import('./key.ts')
      await withClient(options, (client) =>
        revokeKey(client, { name, namespace: namespaceOf(options, client) }, { io, signal }),
      )
    })
}

function namespaceOf(options: ClusterOptions, client: { namespace: string | undefined }): string {
  return options.namespace ?? client.namespace ?? 'default'
}

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `90d`, `12h`, `30m`, `45s` in seconds; at most ten years. */
export function duration(text: string): number {
  const [, number = '', unit = ''] = /^([0-9]{1,9})([smhd])$/.exec(text) ?? []
  const seconds = Number(number) * (units[unit] ?? Number.NaN)
  if (number === '' || !(seconds <= 3650 * 86_400)) {
    throw new InvalidArgumentError('must be a number with s, m, h or d, such as 12h or 90d, and at most 3650d')
  }
  return seconds
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,6}$/.test(text)) throw new InvalidArgumentError('must be a number from 1')
  return Number(text)
}
