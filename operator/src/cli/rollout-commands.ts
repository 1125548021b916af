import { type Command, InvalidArgumentError, Option } from 'commander'
import type { KubeClient } from '../kube/client-types.ts'
import { exitCodes } from './exit-code.ts'
import { type ClusterOptions, namespaceOption, onCluster, outputOption, type WithClient } from './options.ts'
import type { ProgramDeps } from './program.ts'

/** The commands of `kubectl hansa rollout`. */
export function addRolloutCommands(program: Command, deps: ProgramDeps, withClient: WithClient): void {
  const { io, signal } = deps
  const rollout = program.command('rollout').description('Rollouts of new revisions').helpCommand(false)
  const ofService = (name: string, summary: string) =>
    onCluster(rollout.command(name))
      .description(summary)
      .argument('<name>', 'name of the InferenceService')
      .addOption(namespaceOption())
  const named = (name: string, options: ClusterOptions, client: KubeClient) => ({
    name,
    namespace: options.namespace ?? client.namespace ?? 'default',
  })
  ofService(
    'status',
    'The revisions with their shares of the requests and their workers, and the verdict; exits 1 after a rollback',
  )
    .addOption(outputOption())
    .action(async (name: string, options: ClusterOptions) => {
      const { rolloutStatus } = await import('./rollout.ts')
      const isWell = await withClient(options, (client) =>
        rolloutStatus(client, { ...named(name, options, client), output: options.output }, io, signal),
      )
      if (!isWell) deps.setExitCode(exitCodes.notReady)
    })
  ofService('watch', 'Follows a rollout to its end; exits 0 when it was promoted and 1 when it was rolled back')
    .addOption(new Option('--timeout <seconds>', 'give up after this time; default: never').argParser(seconds))
    .action(async (name: string, options: ClusterOptions & { timeout?: number }) => {
      const { rolloutWatch } = await import('./rollout-watch.ts')
      const { systemClock } = await import('../kube/clock.ts')
      const promoted = await withClient(options, (client) =>
        rolloutWatch(
          client,
          { ...named(name, options, client), timeoutSeconds: options.timeout },
          { io, clock: systemClock },
          signal,
        ),
      )
      if (!promoted) deps.setExitCode(exitCodes.notReady)
    })
  for (const [command, paused, summary] of [
    ['pause', true, 'Holds a canary at its step; it is still rolled back when it does badly'],
    ['resume', false, 'Lets a paused canary go on'],
  ] as const) {
    ofService(command, summary).action(async (name: string, options: ClusterOptions) => {
      const { setPaused } = await import('./rollout.ts')
      await withClient(options, (client) => setPaused(client, named(name, options, client), paused, io, signal))
    })
  }
  for (const [kind, summary] of [
    ['promote', 'Gives the new revision all requests as soon as its workers are ready, whatever its figures'],
    ['abort', 'Ends a canary: all requests go to the old revision'],
    ['retry', 'Tries a revision again that was rolled back'],
  ] as const) {
    ofService(kind, summary).action(async (name: string, options: ClusterOptions) => {
      const { order } = await import('./rollout.ts')
      await withClient(options, (client) => order(client, named(name, options, client), kind, io, signal))
    })
  }
}

function seconds(text: string): number {
  if (!/^[1-9][0-9]{0,6}$/.test(text)) throw new InvalidArgumentError('must be a number of seconds, such as 600')
  return Number(text)
}
