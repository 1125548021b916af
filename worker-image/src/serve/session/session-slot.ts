import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import type { InferRequest } from '../tensor.ts'
import type { Loaded } from './messages.ts'
import type { SessionAnswer, SessionProcess } from './session-process.ts'

export type SlotState = 'loading' | 'idle' | 'busy' | 'down' | 'stopped'

/** A place for one session process, which is started again whenever it ends. */
export type SessionSlot = {
  readonly state: SlotState
  /** Starts in a row that failed since it last worked. */
  readonly failedStarts: number
  readonly pid: number | undefined
  /** The first load; rejects with its HansaError, and then nothing is tried again unless `keepTrying` is set. */
  readonly firstLoad: Promise<Loaded>
  /** Only in state idle. */
  run(request: InferRequest): Promise<SessionAnswer>
  stop(): Promise<void>
}

export type SlotOptions = {
  readonly loadSeconds: number
  readonly runSeconds: number
  /** Also after a first load that failed: another slot has shown that the model can be loaded. */
  readonly keepTrying?: boolean
}

export type SlotDeps = {
  start(): SessionProcess
  log: Logger
  random(): number
  onChange(): void
  onRestart(): void
}

const leastBackOffSeconds = 0.2
const mostBackOffSeconds = 30
const healthySeconds = 60

/**
 * Keeps one session process running: a load that takes longer than `loadSeconds` or a run longer than `runSeconds` gets it
 * killed, and what ended starts again after a back-off of 0.2 s, doubled each time up to 30 s, less up to half by chance.
 */
export function startSessionSlot(options: SlotOptions, deps: SlotDeps): SessionSlot {
  const { log } = deps
  let state: SlotState = 'loading'
  let failedStarts = 0
  let restarts = 0
  let process = begin()
  let retry: NodeJS.Timeout | undefined
  const firstLoad = process.loaded

  function change(next: SlotState): void {
    if (state === 'stopped') return
    state = next
    deps.onChange()
  }

  function begin(): SessionProcess {
    const started = deps.start()
    const overdue = setTimeout(() => {
      log.error({ loadSeconds: options.loadSeconds }, 'the model took too long to load')
      started.kill()
    }, options.loadSeconds * 1000)
    const startedAt = performance.now()
    let loaded = false
    started.loaded
      .then(
        () => {
          loaded = true
          failedStarts = 0
          change('idle')
        },
        (error: unknown) => {
          failedStarts++
          log.error({ error: messageOf(error), failedStarts }, 'session process could not load the model')
        },
      )
      .finally(() => clearTimeout(overdue))
    void started.exited.then(() => {
      if (state === 'stopped') return
      const isFirst = restarts === 0 && !loaded
      change('down')
      if (isFirst && options.keepTrying !== true) return
      if ((performance.now() - startedAt) / 1000 > healthySeconds) restarts = 0
      const most = Math.min(mostBackOffSeconds, leastBackOffSeconds * 2 ** restarts++)
      const seconds = most * (1 - deps.random() / 2)
      log.warn({ backOffSeconds: seconds }, 'session process ended and will be started again')
      retry = setTimeout(() => {
        deps.onRestart()
        change('loading')
        process = begin()
      }, seconds * 1000)
    })
    return started
  }

  return {
    get state() {
      return state
    },
    get failedStarts() {
      return failedStarts
    },
    get pid() {
      return process.pid
    },
    firstLoad,
    run: async (request) => {
      const running = process
      change('busy')
      const overdue = setTimeout(() => {
        log.error({ runSeconds: options.runSeconds }, 'a run took too long; its session process is killed')
        running.kill()
      }, options.runSeconds * 1000)
      try {
        return await running.run(request)
      } finally {
        clearTimeout(overdue)
        if (process === running && running.alive && state === 'busy') change('idle')
      }
    },
    stop: async () => {
      state = 'stopped'
      clearTimeout(retry)
      process.kill()
      await process.exited
    },
  }
}
