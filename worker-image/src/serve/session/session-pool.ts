import type { Logger } from '@hansa/operator/process/log.ts'
import type { LoadCommand, Loaded } from './messages.ts'
import { type SessionWish, sessionsThatFit, sessionsWished, threadsOf } from './session-count.ts'
import type { SessionProcess, SessionProcessOptions } from './session-process.ts'
import { type SessionSlot, startSessionSlot } from './session-slot.ts'

export type SessionPoolOptions = {
  readonly command: Omit<LoadCommand, 'kind' | 'intraOpThreads'>
  readonly env: Readonly<Record<string, string>>
  readonly loadSeconds: number
  readonly runSeconds: number
  readonly wish: SessionWish
  /** What bodies of requests and answers may take in the worker itself. */
  readonly bufferBytes: number
}

export type SessionPoolDeps = {
  start(options: SessionProcessOptions): SessionProcess
  log: Logger
  random(): number
  onChange(): void
  onRestart(): void
  /** Bytes that the container may use, and what this process uses of them. */
  memory(): { limitBytes: number; workerBytes: number }
  /** Resident size of a process in bytes; undefined: not known. */
  residentBytes(pid: number): Promise<number | undefined>
}

/** The session processes of one worker. */
export type SessionPool = {
  readonly slots: readonly SessionSlot[]
  /** Loads the model in the first session. Rejects with its HansaError. */
  loadFirst(): Promise<Loaded>
  /**
   * Decides by the size of the first session, which has run the model by then, how many more fit; loads the first again with
   * more threads when CPUs would stay idle otherwise. Resolves with the count when the first is up; the others follow one by
   * one, and `complete` resolves when they are up.
   */
  settle(): Promise<{ sessions: number; intraOpThreads: number; complete: Promise<void> }>
  stop(): Promise<void>
}

export function createSessionPool(options: SessionPoolOptions, deps: SessionPoolDeps): SessionPool {
  const { log } = deps
  const { wish } = options
  const cpus = wish.cpus ?? wish.availableCpus
  const wished = sessionsWished(wish)
  let intraOpThreads = threadsOf(cpus, wished)
  let slots: SessionSlot[] = []
  let stopped = false

  function startSlot(keepTrying: boolean): SessionSlot {
    const command = { ...options.command, intraOpThreads }
    const slot = startSessionSlot(
      { loadSeconds: options.loadSeconds, runSeconds: options.runSeconds, keepTrying },
      { ...deps, start: () => deps.start({ command, env: options.env }) },
    )
    slots = [...slots, slot]
    return slot
  }

  async function fit(): Promise<number> {
    const pid = slots[0]?.pid
    if (wish.wanted !== undefined || wished === 1 || pid === undefined) return wished
    const sessionBytes = await deps.residentBytes(pid)
    if (sessionBytes === undefined) return wished
    const { bufferBytes } = options
    const figures = { ...deps.memory(), bufferBytes, sessionBytes }
    const sessions = Math.min(wished, sessionsThatFit(figures))
    if (sessions < wished)
      log.info({ sessions, wished, ...figures }, 'memory allows fewer sessions than there are CPUs')
    return sessions
  }

  async function follow(count: number): Promise<void> {
    while (!stopped && slots.length < count) {
      // One that fails is started again and again by its slot; the next need not wait for that.
      await startSlot(true).firstLoad.catch(() => undefined)
    }
  }

  return {
    get slots() {
      return slots
    },
    loadFirst: () => startSlot(false).firstLoad,
    settle: async () => {
      const sessions = await fit()
      const threads = threadsOf(cpus, sessions)
      if (threads !== intraOpThreads) {
        intraOpThreads = threads
        const before = slots
        slots = []
        await Promise.all(before.map((slot) => slot.stop()))
        await startSlot(false).firstLoad
      }
      return { sessions, intraOpThreads, complete: follow(sessions) }
    },
    stop: async () => {
      stopped = true
      await Promise.all(slots.map((slot) => slot.stop()))
    },
  }
}
