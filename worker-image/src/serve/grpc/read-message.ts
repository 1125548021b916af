import type { ServerHttp2Stream } from 'node:http2'
import { InferProblem, invalid } from '../problem.ts'
import { ClientGone } from '../rest/http-problem.ts'
import { type BufferBudget, stallSeconds } from '../rest/read-body.ts'
import { MessageSplitter } from './message-splitter.ts'
import { GrpcProblem, grpcStatus } from './status.ts'

export type Held = { bytes: number }

/** Counts bytes in the budget and in what a call holds of it. Throws InferProblem (QueueFull). */
export function take(budget: BufferBudget, held: Held, bytes: number): void {
  if (!budget.take(bytes)) {
    throw new InferProblem('QueueFull', 'too many request bodies are in memory; try again later')
  }
  held.bytes += bytes
}

/**
 * Reads the one message of a unary call, never holding more than `maxBytes` of it nor more than the budget has left. What was
 * taken from the budget stays taken; `held` says how much, also after a rejection.
 */
export function readMessage(
  stream: ServerHttp2Stream,
  limits: { maxBytes: number; budget: BufferBudget; signal: AbortSignal; stallMs?: number },
  held: Held,
): Promise<Buffer> {
  const { maxBytes, budget, signal, stallMs = stallSeconds * 1000 } = limits
  return new Promise((resolve, reject) => {
    const splitter = new MessageSplitter(maxBytes)
    let message: Buffer | undefined
    const stop = (error?: unknown) => {
      clearTimeout(stall)
      signal.removeEventListener('abort', aborted)
      stream.off('data', data).off('end', end).off('error', gone).off('close', gone)
      if (error !== undefined) reject(error)
    }
    const stall = setTimeout(
      () => stop(new GrpcProblem(grpcStatus.deadlineExceeded, 'the body stopped coming')),
      stallMs,
    )
    const aborted = () => stop(signal.reason)
    const gone = () => stop(new ClientGone())
    const data = (piece: Buffer) => {
      stall.refresh()
      try {
        take(budget, held, piece.byteLength)
        for (const one of splitter.push(piece)) {
          if (message !== undefined) throw invalid('the call takes one message')
          message = one
        }
      } catch (error) {
        stop(error)
      }
    }
    const end = () => {
      if (message === undefined || splitter.buffered > 0) return stop(invalid('the message is not complete'))
      stop()
      resolve(message)
    }
    signal.addEventListener('abort', aborted, { once: true })
    stream.on('data', data).on('end', end).on('error', gone).on('close', gone)
    if (signal.aborted) aborted()
    else if (stream.destroyed) gone()
  })
}
