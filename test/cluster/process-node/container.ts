import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { runAction } from './action.ts'
import { containerFiles } from './container-files.ts'
import { type Health, watchHealth } from './container-health.ts'
import { type ContainerProcess, StartError, startProcess } from './container-process.ts'
import { ContainerConfigError } from './environment.ts'
import { findImage, type ImageMap } from './image-map.ts'
import type { ContainerSpec, ContainerState, ContainerStatus, Pod, TerminatedState } from './kube-types.ts'
import { type LaunchInputs, type LaunchPlan, planLaunch } from './launch-plan.ts'
import { killGroup } from './leftovers.ts'

export type ContainerKind = 'init' | 'sidecar' | 'app'

/** What a container needs of its pod and node. */
export interface ContainerDeps extends Pick<LaunchInputs, 'addresses' | 'objects' | 'environment' | 'nodeOptions'> {
  readonly pod: () => Pod
  readonly volumePaths: () => ReadonlyMap<string, string>
  readonly images: ImageMap
  /** The folder of the pod's containers. */
  readonly folder: string
  /** Called with each process that is started. */
  readonly onProcess: (pid: number) => Promise<void>
  readonly onChange: () => void
  readonly emit: (type: 'Normal' | 'Warning', reason: string, message: string) => void
}

/** One container of a pod through all its runs. */
export interface Container {
  readonly spec: ContainerSpec
  readonly kind: ContainerKind
  readonly pid: number | undefined
  /** Of the last run, once it has ended for good; undefined while there is or will be another. */
  readonly finalExitCode: number | undefined
  status(): ContainerStatus
  /** Starts it where it should run and does not; back-off is kept. */
  advance(): void
  /** Ends it for good. */
  stop(graceSeconds: number): Promise<void>
  kill(signal: NodeJS.Signals): void
  /** Where the log of the current or previous run lies; undefined where there is none. */
  logPath(previous: boolean): string | undefined
}

interface Run {
  readonly id: string
  readonly startedAt: string
  readonly process: ContainerProcess
  readonly plan: LaunchPlan
  readonly health: Health
  /** Resolves when the process is gone and its end is noted. */
  readonly noted: Promise<void>
}

const longestBackOffSeconds = 10
const forgiveAfterMilliseconds = 60_000
const configRetryMilliseconds = 2_000
const serverRetryMilliseconds = 250

/** Makes a container from its spec and what the API server last heard of it. */
export function createContainer(
  spec: ContainerSpec,
  kind: ContainerKind,
  deps: ContainerDeps,
  previous?: ContainerStatus,
): Container {
  const files = containerFiles(join(deps.folder, spec.name))
  let run: Run | undefined
  let launching = false
  let stopping = false
  let waiting: NonNullable<ContainerState['waiting']> = {
    reason: deps.pod().spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating',
  }
  let last: TerminatedState | undefined = lastRun(previous)
  let runs = last ? (previous?.restartCount ?? 0) + 1 : 0
  let crashes = 0
  let notBefore = 0
  let imageFailures = 0

  function restarts(exitCode: number): boolean {
    const policy = kind === 'sidecar' ? 'Always' : (deps.pod().spec.restartPolicy ?? 'Always')
    if (stopping || policy === 'Never') return false
    return (policy === 'Always' && kind !== 'init') || exitCode !== 0
  }

  function wait(reason: string, message: string, milliseconds: number): void {
    waiting = { reason, message }
    notBefore = Date.now() + milliseconds
    setTimeout(deps.onChange, milliseconds + 5).unref()
    deps.onChange()
  }

  function ended(state: TerminatedState, ranMilliseconds: number): void {
    run = undefined
    last = state
    if (restarts(state.exitCode)) backOff(ranMilliseconds)
    else deps.onChange()
  }

  function backOff(ranMilliseconds: number): void {
    crashes = ranMilliseconds > forgiveAfterMilliseconds ? 1 : crashes + 1
    const seconds = Math.min(2 ** (crashes - 1), longestBackOffSeconds)
    const message = `back-off ${seconds}s restarting failed container=${spec.name} pod=${deps.pod().metadata.name}`
    if (crashes > 1) deps.emit('Warning', 'BackOff', message)
    wait('CrashLoopBackOff', message, seconds * 1_000)
  }

  async function launch(): Promise<void> {
    const image = findImage(deps.images, spec.image)
    if (!image) {
      const reason = imageFailures++ === 0 ? 'ErrImagePull' : 'ImagePullBackOff'
      const message = `no image ${spec.image} on this node`
      deps.emit('Warning', 'Failed', message)
      return wait(reason, message, configRetryMilliseconds)
    }
    const number = runs
    await files.prepare(number)
    const plan = await planLaunch({
      ...deps,
      pod: deps.pod(),
      container: spec,
      image,
      volumePaths: deps.volumePaths(),
      folder: files.folder,
      terminationLog: files.terminationLogPath(number),
    })
    if (stopping) return
    runs++
    const began = Date.now()
    const startedAt = now()
    const id = `hansa-process://${randomUUID()}`
    const process = await startProcess({ ...plan, logPath: files.logPath(number) })
    await deps.onProcess(process.pid)
    const health = watchHealth({
      spec,
      podIp: deps.addresses.podIp,
      exec: (command, signal) => execBeside(plan, command, signal),
      onChange: deps.onChange,
      onUnhealthy: (message) => deps.emit('Warning', 'Unhealthy', message),
      onDead: (message, graceSeconds) => {
        deps.emit('Normal', 'Killing', `Container ${spec.name} ${message}, will be restarted`)
        void terminate(started, graceSeconds ?? deps.pod().spec.terminationGracePeriodSeconds ?? 30)
      },
    })
    const noted = process.exited.then(async (exitCode) => {
      health.close()
      const message = await files.terminationMessage(number, spec, exitCode)
      const state: TerminatedState = {
        exitCode,
        reason: exitCode === 0 ? 'Completed' : 'Error',
        startedAt,
        finishedAt: now(),
        containerID: id,
        ...(message === undefined ? {} : { message }),
      }
      ended(state, Date.now() - began)
    })
    const started: Run = { id, startedAt, process, plan, health, noted }
    run = started
    deps.emit('Normal', 'Started', `Started container ${spec.name}`)
    if (stopping) process.signal('SIGTERM')
    deps.onChange()
  }

  function failed(error: unknown): void {
    if (error instanceof StartError) {
      const at = now()
      deps.emit('Warning', 'Failed', `Error: ${error.message}`)
      ended({ exitCode: 128, reason: 'StartError', message: error.message, startedAt: at, finishedAt: at }, 0)
    } else {
      const certain = error instanceof ContainerConfigError
      if (certain) deps.emit('Warning', 'Failed', `Error: ${error.message}`)
      // Anything else is the API server's, such as a Node authorizer that has not yet heard of the pod.
      wait('CreateContainerConfigError', messageOf(error), certain ? configRetryMilliseconds : serverRetryMilliseconds)
    }
  }

  async function terminate(running: Run, graceSeconds: number): Promise<void> {
    const deadline = Date.now() + graceSeconds * 1_000
    const { preStop } = spec.lifecycle ?? {}
    if (preStop && graceSeconds > 0) {
      await runAction(
        preStop,
        {
          podIp: deps.addresses.podIp,
          container: spec,
          exec: (command, signal) => execBeside(running.plan, command, signal),
        },
        AbortSignal.any([AbortSignal.timeout(graceSeconds * 1_000), running.health.ended]),
      )
    }
    await running.process.terminate(Math.max(0, deadline - Date.now()) / 1_000)
    await running.noted
  }

  return {
    spec,
    kind,
    get pid() {
      return run?.process.pid
    },
    get finalExitCode() {
      return !run && !launching && last && !restarts(last.exitCode) ? last.exitCode : undefined
    },
    status() {
      const state: ContainerState = run
        ? { running: { startedAt: run.startedAt } }
        : last && !restarts(last.exitCode)
          ? { terminated: last }
          : { waiting }
      const id = run?.id ?? last?.containerID
      return {
        name: spec.name,
        image: spec.image,
        imageID: runs > 0 ? `hansa-process://${spec.image}` : '',
        ...(id === undefined ? {} : { containerID: id }),
        restartCount: Math.max(0, runs - 1),
        started: run?.health.started ?? false,
        ready: kind === 'init' ? last?.exitCode === 0 && !run : (run?.health.ready ?? false),
        state,
        lastState: last && !state.terminated ? { terminated: last } : {},
      }
    },
    advance() {
      if (run || launching || stopping || Date.now() < notBefore) return
      if (last && !restarts(last.exitCode)) return
      launching = true
      void launch()
        .catch(failed)
        .finally(() => {
          launching = false
          deps.onChange()
        })
    },
    async stop(graceSeconds) {
      stopping = true
      while (launching) await new Promise((resolve) => setTimeout(resolve, 10))
      if (run) {
        deps.emit('Normal', 'Killing', `Stopping container ${spec.name}`)
        await terminate(run, graceSeconds)
      }
    },
    kill(signal) {
      if (!run) return
      if (signal === 'SIGKILL') killGroup(run.process.pid)
      else run.process.signal(signal)
    },
    logPath(previousRun) {
      const back = previousRun && (run || (last && !restarts(last.exitCode))) ? 2 : 1
      return runs >= back ? files.logPath(runs - back) : undefined
    },
  }
}

/** How a container ended before this node process knew it. */
function lastRun(previous?: ContainerStatus): TerminatedState | undefined {
  if (!previous) return undefined
  const { running, terminated } = previous.state
  if (!running) return terminated ?? previous.lastState.terminated
  return {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The node was restarted while the container ran',
    startedAt: running.startedAt,
    finishedAt: now(),
  }
}

async function execBeside(plan: LaunchPlan, command: readonly string[], signal: AbortSignal): Promise<number> {
  const process = await startProcess({ ...plan, command: command.map(plan.mapPaths) })
  const end = () => killGroup(process.pid)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  return process.exited.finally(() => signal.removeEventListener('abort', end))
}

function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`
}
