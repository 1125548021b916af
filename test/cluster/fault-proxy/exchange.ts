import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'
import type { MutableRecord } from './journal.ts'
import type { ListMemory, RecordedAnswer } from './old-lists.ts'
import type { RequestFacts } from './request-facts.ts'
import { answerStatus } from './status-answer.ts'
import { answerHeaders, type Upstream } from './upstream.ts'
import { type OpenWatch, relayWatch } from './watch.ts'

/** One request on its way, and all that may happen to it. */
export interface Exchange {
  readonly facts: RequestFacts
  readonly fault: Fault | undefined
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly record: MutableRecord
  readonly upstream: Upstream
  readonly watches: Set<OpenWatch>
  readonly lists: ListMemory
  /** What a StaleList fault answers. */
  readonly oldList: RecordedAnswer | undefined
}

/** Carries a request through its fault to the API server and back. */
export async function carry(exchange: Exchange): Promise<void> {
  const { facts, fault, response, record } = exchange
  switch (fault?.type) {
    case 'Cut':
      return cut(exchange)
    case 'Respond':
      // A client that is still sending would take an early answer for a broken connection.
      await drain(exchange.request)
      record.status = fault.status
      return answerStatus(response, fault)
    case 'Silence':
      if (!facts.isWatch) return
      break
    case 'Delay':
      if (!facts.isWatch) await sleep(fault.milliseconds)
      break
    case 'Call':
      if (fault.at === 'before') {
        await fault.run(facts)
        if (fault.outcome === 'cut') return cut(exchange)
      }
      break
    case 'StaleList':
      if (exchange.oldList) return answer(exchange, exchange.oldList)
      break
    default:
  }
  await forward(exchange)
}

async function forward(exchange: Exchange): Promise<void> {
  const { facts, fault, request, response, record, upstream, watches } = exchange
  const abort = new AbortController()
  response.once('close', () => {
    // A write whose client has gone must still reach the API server whole: that is what losing a reply means.
    if (facts.isWatch || facts.verb === 'get' || facts.isList) abort.abort()
  })
  const arrived = await upstream.forward(request, abort.signal)
  record.upstreamStatus = arrived.statusCode

  if (facts.isWatch && arrived.statusCode === 200) {
    record.status = 200
    response.writeHead(200, answerHeaders(arrived))
    response.flushHeaders()
    const watch = relayWatch({ facts, fault, upstream: arrived, client: response })
    watches.add(watch)
    response.once('close', () => watches.delete(watch))
    return
  }

  const isStreamed = facts.subresource !== '' && facts.verb === 'get'
  if (isStreamed && fault === undefined) {
    record.status = arrived.statusCode
    response.writeHead(arrived.statusCode ?? 502, answerHeaders(arrived))
    arrived.once('error', () => response.destroy())
    arrived.pipe(response)
    return
  }

  const whole: RecordedAnswer = {
    status: arrived.statusCode ?? 502,
    headers: answerHeaders(arrived),
    body: await drain(arrived),
  }
  exchange.lists.remember(facts, whole)
  if (fault?.type === 'LoseReply') return cut(exchange)
  if (fault?.type === 'Call' && fault.at === 'after') {
    await fault.run(facts)
    if (fault.outcome === 'cut') return cut(exchange)
  }
  answer(exchange, whole)
}

function answer({ response, record }: Exchange, whole: RecordedAnswer): void {
  record.status = whole.status
  response.writeHead(whole.status, { ...whole.headers, 'content-length': whole.body.length })
  response.end(whole.body)
}

function cut({ request }: Exchange): void {
  request.socket.destroy()
}

async function drain(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
