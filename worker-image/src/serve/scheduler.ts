import { InferProblem } from './problem.ts'
import type { SessionSlot } from './session/session-slot.ts'
import type { InferRequest, InferResponse } from './tensor.ts'

export type Submission = {
  readonly request: InferRequest
  /** Milliseconds on the clock of `performance.now()`. */
  readonly deadlineAt: number
  /** Aborts, with the reason to reject with, when the deadline passes or the client is gone: a waiting request is dropped. */
  readonly signal: AbortSignal
}

export type SchedulerMetrics = {
  queued(waitMicros: number): void
  executed(): void
}

/** Bounded queue in front of the session processes. Knows no protocol. */
export type Scheduler = {
  /** Requests that wait for a session. */
  readonly waiting: number
  readonly isFull: boolean
  /** Rejects with InferProblem: QueueFull, DeadlineExceeded, SessionLost, or what the model answered. */
  submit(submission: Submission): Promise<InferResponse>
  /** To be called when a session becomes idle. */
  dispatch(): void
}

type Waiting = Submission & {
  enqueuedAt: number
  resolve(response: InferResponse): void
  reject(error: unknown): void
}

/**
 * First come, first served. A request whose deadline passes while it waits is never run; one whose deadline passes while it
 * runs is answered, its run goes on, because a run cannot be cancelled.
 */
export function createScheduler(deps: {
  slots: () => readonly SessionSlot[]
  queueDepth: number
  metrics: SchedulerMetrics
}): Scheduler {
  const queue = new Set<Waiting>()

  function dispatch(): void {
    for (;;) {
      const [first] = queue
      if (first === undefined) return
      const slot = deps.slots().find((one) => one.state === 'idle')
      if (slot === undefined) return
      queue.delete(first)
      if (performance.now() >= first.deadlineAt) first.reject(deadlinePassed())
      else start(slot, first)
    }
  }

  function start(slot: SessionSlot, waiting: Waiting): void {
    deps.metrics.queued((performance.now() - waiting.enqueuedAt) * 1000)
    deps.metrics.executed()
    slot.run(waiting.request).then(waiting.resolve, waiting.reject)
  }

  return {
    get waiting() {
      return queue.size
    },
    get isFull() {
      return queue.size >= deps.queueDepth
    },
    dispatch,
    submit: (submission) =>
      new Promise((resolve, reject) => {
        if (submission.signal.aborted) return reject(submission.signal.reason)
        const idle = queue.size === 0 && deps.slots().some((slot) => slot.state === 'idle')
        if (!idle && queue.size >= deps.queueDepth) {
          return reject(new InferProblem('QueueFull', `${queue.size} requests wait already; try again later`))
        }
        const finish = () => {
          submission.signal.removeEventListener('abort', gone)
          queue.delete(waiting)
        }
        const waiting: Waiting = {
          ...submission,
          enqueuedAt: performance.now(),
          resolve: (response) => {
            finish()
            resolve(response)
          },
          reject: (error) => {
            finish()
            reject(error)
          },
        }
        const gone = () => waiting.reject(submission.signal.reason)
        submission.signal.addEventListener('abort', gone, { once: true })
        queue.add(waiting)
        dispatch()
      }),
  }
}

export function deadlinePassed(): InferProblem {
  return new InferProblem('DeadlineExceeded', 'the deadline of the request has passed')
}
