/** Runs of one batch size since the start. */
export type BatchFigures = { readonly rows: number; readonly runs: number; readonly runMicros: number }

/** What the model ran since the start, as Triton's ModelStatistics wants it; counts and sums of microseconds. */
export type RunStatistics = {
  readonly runs: number
  /** Requests that were handed to a session, failed ones included. */
  readonly requests: number
  readonly rows: number
  readonly queueMicros: number
  readonly runMicros: number
  /** Wall clock in milliseconds; 0 before the first run. */
  readonly lastRunAt: number
  readonly batches: readonly BatchFigures[]
}

export type StatisticsRecorder = {
  started(requests: number, rows: number, queueMicros: number): void
  ran(rows: number, runMicros: number): void
  read(): RunStatistics
}

/** Larger runs count as this size, so that callers cannot make ever new entries. */
const largestKept = 1024

export function createRunStatistics(wallClock: () => number): StatisticsRecorder {
  const sums = { runs: 0, requests: 0, rows: 0, queueMicros: 0, runMicros: 0, lastRunAt: 0 }
  const bySize = new Map<number, { runs: number; runMicros: number }>()
  return {
    started: (requests, rows, queueMicros) => {
      sums.runs++
      sums.requests += requests
      sums.rows += rows
      sums.queueMicros += queueMicros
      sums.lastRunAt = wallClock()
    },
    ran: (rows, runMicros) => {
      sums.runMicros += runMicros
      const size = Math.min(rows, largestKept)
      const known = bySize.get(size) ?? { runs: 0, runMicros: 0 }
      bySize.set(size, { runs: known.runs + 1, runMicros: known.runMicros + runMicros })
    },
    read: () => ({
      ...sums,
      batches: [...bySize].map(([rows, figures]) => ({ rows, ...figures })).sort((a, b) => a.rows - b.rows),
    }),
  }
}
