import type { IncomingMessage, ServerResponse } from 'node:http'
import { InferProblem, invalid } from '../problem.ts'
import { deadlinePassed } from '../scheduler.ts'
import type { LoadedModel, Worker } from '../worker.ts'
import { traceOf } from './answer.ts'
import type { Body } from './decode-request.ts'
import { ClientGone, HttpProblem } from './http-problem.ts'
import { announcedLength, type BufferBudget, readBody } from './read-body.ts'
import { sent } from './sent.ts'

/** Up to this a copy costs less than writing the pieces one by one. */
const smallBytes = 16 << 10

/** A body that was let in, and until when it may be worked on. */
export type Taken = {
  readonly body: Body
  readonly loaded: LoadedModel
  /** Milliseconds on the clock of `performance.now()`. */
  readonly deadlineAt: number
  /** Aborts when the deadline passes or the client is gone. */
  readonly signal: AbortSignal
  /** The caller's span (W3C Trace Context). */
  readonly traceparent: string | undefined
}

export type Given = {
  readonly pieces: readonly Uint8Array[]
  readonly byteLength: number
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The frame of every call that runs the model: checks the head, bounds and reads the body, keeps the deadline, counts the bytes
 * held, and sends what `work` gives. Rejects with what went wrong; the caller answers then.
 */
export async function takeRequest(
  request: IncomingMessage,
  response: ServerResponse,
  to: { worker: Worker; budget: BufferBudget; expectsContinue: boolean; maxBytes: number },
  work: (taken: Taken) => Promise<Given>,
): Promise<void> {
  const { worker, budget, maxBytes } = to
  const { limits, scheduler } = worker
  const startedAt = performance.now()
  checkHead(request)
  const timeoutMs = Math.min(limits.requestSeconds * 1000, timeoutOf(request))
  announcedLength(request, maxBytes)
  const { loaded } = worker
  const why = worker.unavailable()
  if (loaded === undefined || why !== undefined) throw new InferProblem('NotReady', why ?? 'the model is not loaded')
  if (scheduler.isFull) throw new InferProblem('QueueFull', 'the queue is full; try again later')

  const stop = new AbortController()
  const { signal } = stop
  const timer = setTimeout(() => stop.abort(deadlinePassed()), timeoutMs)
  const closed = () => stop.abort(new ClientGone())
  response.once('close', closed)
  const held = { bytes: 0 }
  try {
    if (to.expectsContinue) response.writeContinue()
    const body = await readBody(request, { maxBytes, budget, signal }, held)
    if (body.byteLength === 0) throw invalid('the body is empty')
    const given = await work({ body, loaded, deadlineAt: startedAt + timeoutMs, signal, traceparent: traceOf(request) })
    signal.throwIfAborted()
    clearTimeout(timer)
    response.off('close', closed)
    budget.add(given.byteLength)
    held.bytes += given.byteLength
    for (const [name, value] of Object.entries(given.headers)) response.setHeader(name, value)
    response.setHeader('content-length', given.byteLength)
    response.writeHead(200)
    if (given.byteLength <= smallBytes) response.end(Buffer.concat(given.pieces))
    else {
      for (const piece of given.pieces) response.write(piece)
      response.end()
    }
    await sent(response)
  } finally {
    clearTimeout(timer)
    response.off('close', closed)
    budget.give(held.bytes)
  }
}

/** The last is what `curl -d` says when nobody tells it better, as in many examples for this protocol. */
const bodyTypes = new Set(['', 'application/json', 'application/octet-stream', 'application/x-www-form-urlencoded'])

function checkHead(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpProblem(415, 'compressed bodies are not accepted', { 'accept-encoding': 'identity' })
  }
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== undefined && !bodyTypes.has(type)) {
    throw new HttpProblem(415, 'the content type must be application/json or application/octet-stream')
  }
}

function timeoutOf(request: IncomingMessage): number {
  const header = request.headers['x-hansa-timeout-ms']
  if (header === undefined) return Number.POSITIVE_INFINITY
  if (typeof header !== 'string' || !/^\d{1,10}$/.test(header)) {
    throw invalid('x-hansa-timeout-ms must be a whole number of milliseconds')
  }
  return Number(header)
}
