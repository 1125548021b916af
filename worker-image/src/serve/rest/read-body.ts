import type { IncomingMessage } from 'node:http'
import { InferProblem } from '../problem.ts'
import type { Body } from './decode-request.ts'
import { ClientGone, HttpProblem } from './http-problem.ts'

export const stallSeconds = 10

/** Bytes of request and response bodies that the worker holds, all together. */
export type BufferBudget = {
  /** For a request: false when there is no room. */
  take(bytes: number): boolean
  /** For a response, which is there already: counted, so that less room is left for requests. */
  add(bytes: number): void
  give(bytes: number): void
  readonly heldBytes: number
}

export function createBudget(mostBytes: number): BufferBudget {
  let held = 0
  return {
    take: (bytes) => {
      if (held + bytes > mostBytes) return false
      held += bytes
      return true
    },
    add: (bytes) => {
      held += bytes
    },
    give: (bytes) => {
      held -= bytes
    },
    get heldBytes() {
      return held
    },
  }
}

/** The length that the head announces; undefined for chunked bodies. Throws HttpProblem 411 and InferProblem RequestTooLarge. */
export function announcedLength(request: IncomingMessage, maxBytes: number): number | undefined {
  const length = request.headers['content-length']
  if (length === undefined) {
    if (request.headers['transfer-encoding'] === undefined) throw new HttpProblem(411, 'a body is needed')
    return undefined
  }
  const bytes = Number(length)
  if (bytes > maxBytes) throw tooLarge(maxBytes)
  return bytes
}

/**
 * Reads a body, as the pieces in which it comes, never holding more than `maxBytes` of it nor more than the budget has left.
 * What was taken from the budget stays taken; `held` says how much, also after a rejection.
 */
export function readBody(
  request: IncomingMessage,
  limits: { maxBytes: number; budget: BufferBudget; signal: AbortSignal; stallMs?: number },
  held: { bytes: number },
): Promise<Body> {
  const { maxBytes, budget, signal, stallMs = stallSeconds * 1000 } = limits
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = []
    const stop = (error?: Error) => {
      clearTimeout(stall)
      signal.removeEventListener('abort', aborted)
      request.off('data', take).off('end', end).off('error', gone).off('close', gone)
      if (error !== undefined) reject(error)
    }
    const stall = setTimeout(() => stop(new HttpProblem(408, 'the body stopped coming')), stallMs)
    // The reason is always an Error: a passed deadline or a client that left.
    const aborted = () => stop(signal.reason instanceof Error ? signal.reason : new ClientGone())
    const gone = () => stop(new ClientGone())
    const take = (piece: Buffer) => {
      stall.refresh()
      if (held.bytes + piece.byteLength > maxBytes) return stop(tooLarge(maxBytes))
      if (!budget.take(piece.byteLength)) {
        return stop(new InferProblem('QueueFull', 'too many request bodies are in memory; try again later'))
      }
      held.bytes += piece.byteLength
      pieces.push(piece)
    }
    const end = () => {
      stop()
      resolve({ pieces, byteLength: held.bytes })
    }
    signal.addEventListener('abort', aborted, { once: true })
    request.on('data', take).on('end', end).on('error', gone).on('close', gone)
    if (signal.aborted) aborted()
  })
}

export function tooLarge(maxBytes: number): InferProblem {
  return new InferProblem(
    'RequestTooLarge',
    `the body is larger than the ${maxBytes} bytes of the service's limits.requestBytes`,
  )
}
