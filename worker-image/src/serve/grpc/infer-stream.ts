import { counted } from '../counted.ts'
import { InferProblem, invalid } from '../problem.ts'
import { ClientGone } from '../rest/http-problem.ts'
import { type BufferBudget, stallSeconds } from '../rest/read-body.ts'
import { deadlinePassed } from '../scheduler.ts'
import type { Worker } from '../worker.ts'
import type { GrpcCall } from './call.ts'
import { inferMessage } from './infer-message.ts'
import { MessageSplitter, prefixBytes } from './message-splitter.ts'
import { type Held, take } from './read-message.ts'
import { GrpcProblem, grpcStatus, verdictOf } from './status.ts'
import { timeoutOf } from './timeout.ts'
import { WireWriter } from './wire-writer.ts'

/** Requests of one stream that are worked on at a time, or whose answers the client has not taken yet. */
const mostInFlight = 16
const longestTimer = 2 ** 31 - 1

/**
 * Answers ModelStreamInfer until the client has ended its side and has every answer. Answers come as they are ready and carry
 * the id of their request; a request that fails is answered with `error_message` and the stream goes on. While enough is under
 * way no more of the stream is read. What breaks the stream itself (framing, its deadline, a shutdown, no room for a message)
 * rejects, after the answers to what was under way.
 */
export async function inferStream(
  call: GrpcCall,
  worker: Worker,
  budget: BufferBudget,
  closing: AbortSignal,
): Promise<void> {
  const { stream } = call
  const { limits } = worker
  const atOnce = Math.min(mostInFlight, limits.queueDepth)
  const timeoutMs = timeoutOf(call.headers)
  const deadlineAt = performance.now() + timeoutMs
  const stop = new AbortController()
  const closed = () => stop.abort(new ClientGone())
  const timer = setTimeout(() => stop.abort(deadlinePassed()), Math.min(timeoutMs, longestTimer))
  const splitter = new MessageSplitter(limits.requestBytes)
  const arriving: Held = { bytes: 0 }
  const queue: Buffer[] = []
  const underWay = new Set<AbortController>()
  let inFlight = 0
  let ended = false
  let broken: unknown
  const done = Promise.withResolvers<void>()
  const stall = setTimeout(() => {
    if (splitter.buffered > 0) breakOff(new GrpcProblem(grpcStatus.deadlineExceeded, 'the body stopped coming'))
    else stall.refresh()
  }, stallSeconds * 1000)

  /** No more is read; what is under way is answered first. */
  function breakOff(reason: unknown): void {
    broken ??= reason
    next()
  }

  function next(): void {
    while (broken === undefined && inFlight < atOnce) {
      const message = queue.shift()
      if (message === undefined) break
      inFlight++
      void answer(message).finally(() => {
        inFlight--
        next()
      })
    }
    if (broken === undefined && inFlight < atOnce) stream.resume()
    else stream.pause()
    if (inFlight > 0) return
    if (broken !== undefined) done.reject(broken)
    else if (ended && splitter.buffered > 0) done.reject(invalid('the message is not complete'))
    else if (ended) done.resolve()
  }

  async function answer(message: Buffer): Promise<void> {
    const held = { bytes: message.byteLength }
    arriving.bytes -= message.byteLength
    const seen = { id: '' }
    const requestMs = limits.requestSeconds * 1000
    const own = new AbortController()
    underWay.add(own)
    const requestTimer = setTimeout(() => own.abort(deadlinePassed()), requestMs)
    const response = new WireWriter()
    try {
      const result = await counted(worker.metrics, () =>
        inferMessage(message, worker, {
          deadlineAt: Math.min(performance.now() + requestMs, deadlineAt),
          signal: own.signal,
          traceparent: call.traceparent,
          reserve: (bytes) => take(budget, held, bytes),
          seen,
        }),
      )
      response.message(2, result)
      budget.add(response.byteLength)
      held.bytes += response.byteLength
    } catch (error) {
      const { name, version } = worker.model
      const whose = new WireWriter().text(1, name).text(2, version).text(3, seen.id)
      response.text(1, verdictOf(error).message).message(2, whose)
    } finally {
      clearTimeout(requestTimer)
      underWay.delete(own)
    }
    if (!stop.signal.aborted) await call.write(response)
    budget.give(held.bytes)
  }

  const data = (piece: Buffer) => {
    stall.refresh()
    try {
      take(budget, arriving, piece.byteLength)
      const messages = splitter.push(piece)
      const prefixes = prefixBytes * messages.length
      budget.give(prefixes)
      arriving.bytes -= prefixes
      queue.push(...messages)
    } catch (error) {
      return breakOff(error)
    }
    next()
  }
  const end = () => {
    ended = true
    next()
  }
  const onClosing = () => breakOff(new InferProblem('NotReady', 'the worker is shutting down'))
  const onAbort = () => {
    broken ??= stop.signal.reason
    for (const request of underWay) request.abort(stop.signal.reason)
    done.reject(stop.signal.reason)
  }
  try {
    const why = worker.unavailable()
    if (why !== undefined) throw new InferProblem('NotReady', why)
    stop.signal.addEventListener('abort', onAbort, { once: true })
    closing.addEventListener('abort', onClosing, { once: true })
    stream.setMaxListeners(2 * mostInFlight + 16)
    stream.once('close', closed).on('data', data).on('end', end)
    if (stream.destroyed) closed()
    else if (closing.aborted) onClosing()
    await done.promise
  } finally {
    clearTimeout(timer)
    clearTimeout(stall)
    closing.removeEventListener('abort', onClosing)
    stream.off('data', data).off('end', end).off('close', closed)
    budget.give(arriving.bytes)
  }
  await call.end({ code: grpcStatus.ok, message: '' })
}
