import type { Worker } from '../worker.ts'
import { WireWriter } from './wire-writer.ts'

/** ModelStatistics of the worker's model: Triton's message with the counts that a worker keeps. */
export async function statisticsOf({ model, metrics, scheduler }: Worker): Promise<WireWriter> {
  const [success, failure, inferences, executions, queueMicros] = await Promise.all([
    metrics.success.value(),
    metrics.failure.value(),
    metrics.inferences.value(),
    metrics.executions.value(),
    metrics.queueMicros.value(),
  ])
  const { answered } = metrics
  const { batches, ...runs } = scheduler.statistics()
  const stats = new WireWriter()
    .message(1, duration(success, answered.successMicros))
    .message(2, duration(failure, answered.failureMicros))
    .message(3, duration(inferences, queueMicros))
    .message(5, duration(runs.runs, runs.runMicros))
  const message = new WireWriter()
    .text(1, model.name)
    .text(2, model.version)
    .count(3, answered.lastAtMs)
    .count(4, inferences)
    .count(5, executions)
    .message(6, stats)
  for (const { rows, runs, runMicros } of batches) {
    message.message(7, new WireWriter().count(1, rows).message(3, duration(runs, runMicros)))
  }
  return message
}

function duration(count: number, micros: number): WireWriter {
  return new WireWriter().count(1, count).count(2, micros * 1000)
}
