import type { InferenceService } from '../api/inference-service.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Clock, sleep } from '../kube/clock.ts'
import { conditionOf } from '../kube/conditions.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import type { Io } from './io.ts'
import { type Named, readService, verdictLine } from './rollout.ts'

const pauseMilliseconds = 1_000

/** `rollout watch NAME`: a line for each change, until the newest revision has all traffic (true) or was rolled back (false). */
export async function rolloutWatch(
  client: KubeClient,
  options: Named & { timeoutSeconds: number | undefined },
  deps: { io: Io; clock: Clock },
  signal: AbortSignal,
): Promise<boolean> {
  const { io, clock } = deps
  const until = options.timeoutSeconds === undefined ? undefined : clock.monotonic() + options.timeoutSeconds * 1_000
  let said: string | undefined
  for (;;) {
    const service = await readService(client, options, signal)
    const line = lineOf(service, io)
    if (line !== said) io.out(`${line}\n`)
    said = line
    const end = endOf(service)
    if (end !== undefined) return end === 'Promoted'
    if (until !== undefined && clock.monotonic() >= until) {
      throw new CliError(
        exitCodes.notReady,
        `the rollout of InferenceService ${options.name} has not ended after ${options.timeoutSeconds} s`,
        `kubectl hansa rollout status ${options.name} shows where it stands.`,
      )
    }
    await sleep(clock, pauseMilliseconds, signal)
    signal.throwIfAborted()
  }
}

function lineOf(service: InferenceService, io: Io): string {
  const shares = (service.status?.traffic ?? []).map(({ revision, percent }) => `${revision} ${percent} %`).join(', ')
  return `${shares === '' ? 'no traffic' : shares}: ${verdictLine(service, io)}`
}

/** Undefined while it goes on, also before the operator has seen the newest spec. */
function endOf({ metadata, status }: InferenceService): 'Promoted' | 'RolledBack' | undefined {
  if (status?.observedGeneration !== metadata.generation) return undefined
  const condition = conditionOf(status?.conditions, 'RolledOut')
  if (condition?.observedGeneration !== metadata.generation) return undefined
  if (condition?.status === 'True') return 'Promoted'
  // A retry that was ordered since is not seen yet, and shows as what was rolled back.
  const retry = metadata.annotations?.['hansa.dev/rollout-retry']
  const isRetried = retry !== undefined && status?.rollout?.orders?.includes(`retry=${retry}`) !== true
  return condition?.status === 'False' && !isRetried ? 'RolledBack' : undefined
}
