import { counted } from '../counted.ts'
import { InferProblem } from '../problem.ts'
import { ClientGone } from '../rest/http-problem.ts'
import type { BufferBudget } from '../rest/read-body.ts'
import { deadlinePassed } from '../scheduler.ts'
import type { Worker } from '../worker.ts'
import type { GrpcCall } from './call.ts'
import { inferMessage } from './infer-message.ts'
import { readMessage, take } from './read-message.ts'
import { timeoutOf } from './timeout.ts'

/** Answers ModelInfer. Rejects with what went wrong; the caller answers then. */
export function inferUnary(call: GrpcCall, worker: Worker, budget: BufferBudget): Promise<void> {
  return counted(worker.metrics, async () => {
    const { limits } = worker
    const startedAt = performance.now()
    const timeoutMs = Math.min(limits.requestSeconds * 1000, timeoutOf(call.headers))
    refuseNow(worker)
    const stop = new AbortController()
    const { signal } = stop
    const timer = setTimeout(() => stop.abort(deadlinePassed()), timeoutMs)
    const closed = () => stop.abort(new ClientGone())
    call.stream.once('close', closed)
    const held = { bytes: 0 }
    try {
      const bytes = await readMessage(call.stream, { maxBytes: limits.requestBytes, budget, signal }, held)
      const response = await inferMessage(bytes, worker, {
        deadlineAt: startedAt + timeoutMs,
        signal,
        traceparent: call.traceparent,
        reserve: (more) => take(budget, held, more),
        seen: { id: '' },
      })
      signal.throwIfAborted()
      clearTimeout(timer)
      call.stream.off('close', closed)
      budget.add(response.byteLength)
      held.bytes += response.byteLength
      void call.write(response)
      await call.end({ code: 0, message: '' })
    } finally {
      clearTimeout(timer)
      call.stream.off('close', closed)
      budget.give(held.bytes)
    }
  })
}

/** Throws what can be said before a message is read. */
export function refuseNow(worker: Worker): void {
  const why = worker.unavailable()
  if (why !== undefined || worker.loaded === undefined) {
    throw new InferProblem('NotReady', why ?? 'the model is not loaded')
  }
  if (worker.scheduler.isFull) throw new InferProblem('QueueFull', 'the queue is full; try again later')
}
