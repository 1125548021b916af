import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { openAiError } from '@hansa/operator/openai/error-body.ts'
import { messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { isOpenAiPath } from '../openai/openai-route.ts'
import { answerFor } from './http-problem.ts'

const lingerMs = 2_000

/** Sets the headers that every answer carries; returns the request's id, the caller's own where it is a decent one. */
export function beginAnswer(request: IncomingMessage, response: ServerResponse): string {
  const given = request.headers['x-request-id']
  const requestId = typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
  response.setHeader('x-request-id', requestId)
  const trace = traceOf(request)
  if (trace !== undefined) response.setHeader('traceparent', trace)
  return requestId
}

/** Answers with what went wrong, or ends the connection when part of an answer has left already. */
export function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, log: Logger): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  const { status, message, headers } = answerFor(error)
  // Messages of our own refusals are what the client is told; others come from our code or Node, not from a body.
  if (status === 500) log.warn({ error: messageOf(error).slice(0, 256) }, 'request failed')
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (!request.complete) {
    // The rest of the body is thrown away for a while, so that the client gets to read the answer before a reset.
    response.setHeader('connection', 'close')
    request.on('error', () => undefined).resume()
    const { socket } = request
    const linger = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(linger))
  }
  answerJson(response, status, isOpenAiPath(request.url) ? openAiError(status, message) : { error: message })
}

export function answerJson(response: ServerResponse, status: number, value: object): void {
  const body = Buffer.from(JSON.stringify(value))
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', body.byteLength)
  response.writeHead(status)
  response.end(body)
}

/** The W3C trace context of a request; undefined when there is none or it is malformed. */
export function traceOf(request: IncomingMessage): string | undefined {
  const trace = request.headers.traceparent
  return typeof trace === 'string' && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(trace)
    ? trace
    : undefined
}
