import { randomBytes } from 'node:crypto'
import { parseTraceParent } from '@hansa/operator/process/tracing/span.ts'
import type { Tracing } from '@hansa/operator/process/tracing.ts'
import type { Scheduler, Submission } from './scheduler.ts'
import type { InferResponse, RunFigures } from './tensor.ts'

/** The scheduler, which records a span for each inference of a recorded trace: how long it waited and how it was run. */
export function traceInferences(scheduler: Scheduler, tracing: Tracing, model: string): Scheduler {
  return {
    get waiting() {
      return scheduler.waiting
    },
    get isFull() {
      return scheduler.isFull
    },
    dispatch: scheduler.dispatch,
    batch: scheduler.batch,
    statistics: scheduler.statistics,
    submit: traced(scheduler.submit, tracing, model),
  }
}

function traced(
  submit: (submission: Submission) => Promise<InferResponse>,
  tracing: Tracing,
  model: string,
): (submission: Submission) => Promise<InferResponse> {
  return async (submission) => {
    const parent = parseTraceParent(submission.traceparent)
    if (parent?.isSampled !== true) return await submit(submission)
    const startedAt = performance.timeOrigin + performance.now()
    let run: RunFigures | undefined
    try {
      const response = await submit(submission)
      run = response.run
      return response
    } finally {
      tracing.record({
        name: 'inference',
        kind: 'server',
        traceId: parent.traceId,
        spanId: randomBytes(8).toString('hex'),
        parentSpanId: parent.spanId,
        startedAt,
        endedAt: performance.timeOrigin + performance.now(),
        // Only an inference that was run has figures.
        failed: run === undefined,
        attributes: {
          'hansa.service': model,
          'hansa.queue_ms': run && run.queueMicros / 1000,
          'hansa.run_ms': run && run.runMicros / 1000,
          'hansa.batch_requests': run?.requests,
          'hansa.batch_rows': run?.rows,
        },
      })
    }
  }
}
