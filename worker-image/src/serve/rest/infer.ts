import type { IncomingMessage, ServerResponse } from 'node:http'
import { InferProblem, invalid } from '../problem.ts'
import { deadlinePassed } from '../scheduler.ts'
import type { Worker } from '../worker.ts'
import { decodeRequest } from './decode-request.ts'
import { encodeResponse } from './encode-response.ts'
import { ClientGone, HttpProblem } from './http-problem.ts'
import { announcedLength, type BufferBudget, readBody } from './read-body.ts'
import { sent } from './sent.ts'

/** Up to this a copy costs less than writing the pieces one by one. */
const smallBytes = 16 << 10

/** Answers `POST .../infer`. Rejects with what went wrong; the caller answers then. */
export async function infer(
  request: IncomingMessage,
  response: ServerResponse,
  worker: Worker,
  budget: BufferBudget,
  expectsContinue: boolean,
): Promise<void> {
  const { limits, scheduler } = worker
  const startedAt = performance.now()
  checkHead(request)
  const jsonLength = jsonLengthOf(request)
  const timeoutMs = Math.min(limits.requestSeconds * 1000, timeoutOf(request))
  announcedLength(request, limits.requestBytes)
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
    if (expectsContinue) response.writeContinue()
    const body = await readBody(request, { maxBytes: limits.requestBytes, budget, signal }, held)
    if (body.byteLength === 0) throw invalid('the body is empty')
    const decoded = await decodeRequest(body, jsonLength, loaded.signature, loaded.codec, signal)
    const deadlineAt = startedAt + timeoutMs
    const answer = await scheduler.submit({ request: decoded.request, deadlineAt, signal })
    const encoded = await encodeResponse(
      { model: worker.model.name, version: worker.model.version, id: decoded.id, outputs: answer.outputs },
      decoded.forms,
      limits.responseBytes,
      loaded.codec,
      signal,
    )
    signal.throwIfAborted()
    clearTimeout(timer)
    response.off('close', closed)
    budget.add(encoded.byteLength)
    held.bytes += encoded.byteLength
    const isBinary = encoded.jsonLength !== undefined
    response.setHeader('content-type', isBinary ? 'application/octet-stream' : 'application/json')
    response.setHeader('content-length', encoded.byteLength)
    if (isBinary) response.setHeader('inference-header-content-length', String(encoded.jsonLength))
    response.writeHead(200)
    if (encoded.byteLength <= smallBytes) response.end(Buffer.concat(encoded.pieces))
    else {
      for (const piece of encoded.pieces) response.write(piece)
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

function jsonLengthOf(request: IncomingMessage): number | undefined {
  const header = request.headers['inference-header-content-length']
  if (header === undefined) return undefined
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header)) {
    throw invalid('Inference-Header-Content-Length must be a whole number of bytes')
  }
  return Number(header)
}

function timeoutOf(request: IncomingMessage): number {
  const header = request.headers['x-hansa-timeout-ms']
  if (header === undefined) return Number.POSITIVE_INFINITY
  if (typeof header !== 'string' || !/^\d{1,10}$/.test(header)) {
    throw invalid('x-hansa-timeout-ms must be a whole number of milliseconds')
  }
  return Number(header)
}
