import type { IncomingMessage, ServerResponse } from 'node:http'
import { invalid } from '../problem.ts'
import type { Worker } from '../worker.ts'
import { decodeRequest } from './decode-request.ts'
import { encodeResponse } from './encode-response.ts'
import type { BufferBudget } from './read-body.ts'
import { takeRequest } from './take-request.ts'

/** Answers `POST .../infer`. Rejects with what went wrong; the caller answers then. */
export async function infer(
  request: IncomingMessage,
  response: ServerResponse,
  worker: Worker,
  budget: BufferBudget,
  expectsContinue: boolean,
): Promise<void> {
  const { limits, scheduler } = worker
  const jsonLength = jsonLengthOf(request)
  const to = { worker, budget, expectsContinue, maxBytes: limits.requestBytes }
  await takeRequest(request, response, to, async ({ body, loaded, deadlineAt, signal, traceparent }) => {
    const decoded = await decodeRequest(body, jsonLength, loaded.signature, loaded.codec, signal)
    const answer = await scheduler.submit({ request: decoded.request, deadlineAt, signal, traceparent })
    const encoded = await encodeResponse(
      { model: worker.model.name, version: worker.model.version, id: decoded.id, outputs: answer.outputs },
      decoded.forms,
      limits.responseBytes,
      loaded.codec,
      signal,
    )
    const isBinary = encoded.jsonLength !== undefined
    return {
      pieces: encoded.pieces,
      byteLength: encoded.byteLength,
      headers: {
        'content-type': isBinary ? 'application/octet-stream' : 'application/json',
        ...(isBinary && { 'inference-header-content-length': String(encoded.jsonLength) }),
      },
    }
  })
}

function jsonLengthOf(request: IncomingMessage): number | undefined {
  const header = request.headers['inference-header-content-length']
  if (header === undefined) return undefined
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header)) {
    throw invalid('Inference-Header-Content-Length must be a whole number of bytes')
  }
  return Number(header)
}
