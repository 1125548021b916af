import { type BatchPlace, batchPlace } from './batch/batch-key.ts'
import { BatchQueue, type Queued } from './batch/batch-queue.ts'
import { createCompany } from './batch/company.ts'
import { joinRequests } from './batch/join.ts'
import { createOutputBytes } from './batch/output-bytes.ts'
import { createRunStatistics, type RunStatistics } from './batch/run-statistics.ts'
import { NotByRows, splitOutputs } from './batch/split.ts'
import { InferProblem, type ProblemReason } from './problem.ts'
import type { SessionSlot } from './session/session-slot.ts'
import type { InferRequest, InferResponse, RunFigures } from './tensor.ts'

export type Submission = {
  readonly request: InferRequest
  /** Milliseconds on the clock of `performance.now()`. */
  readonly deadlineAt: number
  /** Aborts, with the reason to reject with, when the deadline passes or the client is gone: a waiting request is dropped. */
  readonly signal: AbortSignal
  /** The caller's span (W3C Trace Context). */
  readonly traceparent?: string | undefined
}

export type SchedulerMetrics = {
  queued(waitMicros: number): void
  executed(rows: number): void
}

/** How requests may be joined. */
export type Batching = {
  readonly maxRows: number
  readonly maxDelayMilliseconds: number
  /** Outputs with one row for each row of the inputs. */
  readonly rowOutputs: ReadonlySet<string>
  readonly maxInputBytes: number
  readonly maxOutputBytes: number
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
  /** From now on compatible requests run together; undefined: each alone. */
  batch(batching: Batching | undefined): void
  statistics(): RunStatistics
}

export type SchedulerDeps = {
  slots: () => readonly SessionSlot[]
  queueDepth: number
  metrics: SchedulerMetrics
  /** A batch's outputs were not given by rows; batching is off from now on. */
  onNotByRows?(message: string): void
  /** Milliseconds, the clock of deadlines. */
  now?(): number
  wallClock?(): number
  /** Calls back after so many milliseconds; returns what cancels it. */
  after?(milliseconds: number, call: () => void): () => void
  /** Calls back when what the network has brought by now has been read. */
  soon?(call: () => void): void
}

type Waiting = Submission &
  Queued & {
    queueMicros: number
    resolve(response: InferResponse): void
    reject(error: unknown): void
    settled: boolean
  }

/** Failures that one member of a batch may have caused. */
const ownFailures = new Set<ProblemReason>(['InvalidRequest', 'ModelFailed', 'ResponseTooLarge', 'Unsupported'])

/**
 * First come, first served. A request whose deadline passes while it waits is never run; one whose deadline passes while it
 * runs is answered, its run goes on, because a run cannot be cancelled. With batching, compatible requests run together;
 * a request waits for others only while a session is idle, and only when others are likely to come (see Company). When a
 * batch fails by what one member may have caused, its members run again one by one.
 */
export function createScheduler(deps: SchedulerDeps): Scheduler {
  const now = deps.now ?? (() => performance.now())
  const after = deps.after ?? afterMilliseconds
  const soon = deps.soon ?? setImmediate
  const queue = new BatchQueue<Waiting>()
  const company = createCompany(now)
  const statistics = createRunStatistics(deps.wallClock ?? Date.now)
  let batching: Batching | undefined
  let outputBytes = createOutputBytes(0)
  let order = 0
  let underWay = 0
  let cancelTimer: (() => void) | undefined
  let isSoon = false

  function dispatch(): void {
    cancelTimer?.()
    cancelTimer = undefined
    while (queue.size > 0) {
      const idle = deps.slots().filter((one) => one.state === 'idle')
      const [slot] = idle
      if (slot === undefined) return
      const next = queue.next(now(), idle.length, limits(), company.expectsMore(underWay))
      if (next === undefined) return
      if (next.kind === 'wait') {
        cancelTimer = after(Math.max(0, next.until - now()), dispatch)
        return
      }
      const alive = next.members.filter((member) => {
        queue.delete(member)
        if (now() < member.deadlineAt) return true
        member.reject(deadlinePassed())
        return false
      })
      if (alive.length > 0) void start(slot, alive)
    }
  }

  /** Requests that came in at the same time are joined without any waiting: all of them are read before the first runs. */
  function dispatchSoon(): void {
    if (isSoon) return
    isSoon = true
    soon(() => {
      isSoon = false
      dispatch()
    })
  }

  function limits() {
    if (batching === undefined) return undefined
    const { maxRows, maxInputBytes } = batching
    const maxDelayMilliseconds = Math.min(batching.maxDelayMilliseconds, company.worthMilliseconds)
    return { maxRows, maxDelayMilliseconds, maxInputBytes, rowsThatFit: outputBytes.rowsThatFit }
  }

  async function start(slot: SessionSlot, members: readonly Waiting[]): Promise<void> {
    company.started(underWay)
    let queueMicros = 0
    for (const member of members) {
      member.queueMicros = (now() - member.enqueuedAt) * 1000
      deps.metrics.queued(member.queueMicros)
      queueMicros += member.queueMicros
    }
    const rows = members.reduce((sum, member) => sum + member.rows, 0)
    deps.metrics.executed(rows)
    statistics.started(members.length, rows, queueMicros)
    const [only] = members
    try {
      const isAlone = members.length === 1 && only !== undefined
      const request = isAlone ? only.request : joinRequests(members.map((member) => member.request))
      const startedAt = now()
      const { outputs, runMicros } = await slot.run(request)
      company.ran(now() - startedAt)
      statistics.ran(rows, runMicros)
      if (only?.key !== undefined) outputBytes.ran(only.key, rows, sumOfBytes(outputs))
      const parts = isAlone ? [{ outputs }] : splitOutputs(outputs, members.map(rowsOf))
      for (const [index, member] of members.entries()) {
        const run: RunFigures = { queueMicros: member.queueMicros, runMicros, requests: members.length, rows }
        member.resolve({ outputs: parts[index]?.outputs ?? [], run })
      }
    } catch (error) {
      failed(members, error)
    }
  }

  function failed(members: readonly Waiting[], error: unknown): void {
    const notByRows = error instanceof NotByRows
    if (notByRows) {
      batching = undefined
      deps.onNotByRows?.(error.message)
    }
    const mayBeOnes = notByRows || (error instanceof InferProblem && ownFailures.has(error.problem))
    if (members.length === 1 || !mayBeOnes) {
      for (const member of members) member.reject(error)
      return
    }
    for (const member of members) if (!member.settled) queue.addAgain(member)
    dispatch()
  }

  return {
    get waiting() {
      return queue.size
    },
    get isFull() {
      return queue.size >= deps.queueDepth
    },
    dispatch,
    batch: (next) => {
      batching = next
      outputBytes = createOutputBytes(next?.maxOutputBytes ?? 0)
      dispatch()
    },
    statistics: statistics.read,
    submit: (submission) =>
      new Promise((resolve, reject) => {
        if (submission.signal.aborted) return reject(submission.signal.reason)
        const idle = queue.size === 0 && deps.slots().some((slot) => slot.state === 'idle')
        if (!idle && queue.size >= deps.queueDepth) {
          return reject(new InferProblem('QueueFull', `${queue.size} requests wait already; try again later`))
        }
        const place = placeOf(submission.request, batching)
        const finish = () => {
          if (waiting.settled) return
          waiting.settled = true
          underWay--
          submission.signal.removeEventListener('abort', gone)
          queue.delete(waiting)
        }
        const waiting: Waiting = {
          ...submission,
          ...place,
          order: order++,
          enqueuedAt: now(),
          queueMicros: 0,
          settled: false,
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
        underWay++
        queue.add(waiting)
        if (waiting.key === undefined) dispatch()
        else dispatchSoon()
      }),
  }
}

export function deadlinePassed(): InferProblem {
  return new InferProblem('DeadlineExceeded', 'the deadline of the request has passed')
}

function placeOf(
  request: InferRequest,
  batching: Batching | undefined,
): BatchPlace | { key: undefined; rows: number; inputBytes: number } {
  const place = batching === undefined ? undefined : batchPlace(request, batching.rowOutputs)
  return place ?? { key: undefined, rows: 1, inputBytes: 0 }
}

function rowsOf(member: Queued): number {
  return member.rows
}

function sumOfBytes(outputs: InferResponse['outputs']): number {
  return outputs.reduce((sum, output) => sum + output.byteLength, 0)
}

function afterMilliseconds(milliseconds: number, call: () => void): () => void {
  const timer = setTimeout(call, milliseconds)
  return () => clearTimeout(timer)
}
