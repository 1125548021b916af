import { Pool } from 'undici'
import { z } from 'zod'
import { identityConnector } from '../../identity/connector.ts'
import type { Identity } from '../../identity/identity.ts'
import { HansaError, messageOf } from '../../process/errors.ts'
import { type AskPeer, answerSchema } from './wire.ts'

const answerMs = 40_000
const refusalSchema = z.object({ error: z.object({ reason: z.string().max(64), message: z.string().max(1024) }) })

/** Asks ledgers of peers through our own gateway. */
export function askThroughGateway(deps: { url: string; uri: string; identity: Identity }): {
  ask: AskPeer
  close(): Promise<void>
} {
  const pool = new Pool(deps.url, {
    connect: identityConnector(deps.identity, deps.uri),
    connections: 16,
    pipelining: 1,
    headersTimeout: answerMs,
    bodyTimeout: answerMs,
    maxResponseSize: 1024 * 1024,
    // The gateway closes idle connections after five seconds.
    keepAliveTimeout: 2000,
  })

  const ask: AskPeer = async (peerName, question, stop) => {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(answerMs)])
    const path = `/v1/peers/${peerName}/ledger`
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify(question)
    const { status, text } = await pool
      .request({ method: 'POST', path, headers, body, signal })
      .then(async (answer) => ({ status: answer.statusCode, text: await answer.body.text() }))
      .catch((cause: unknown) => {
        throw new HansaError('GatewayUnreachable', `our gateway does not answer: ${messageOf(cause)}`, { cause })
      })
    const said = parsed(text)
    if (status === 200) {
      const { data } = answerSchema.safeParse(said)
      if (data !== undefined) return data
      throw new HansaError('AnswerMalformed', `the ledger of peer ${peerName} gives an answer that is none`)
    }
    const refusal = refusalSchema.safeParse(said).data?.error
    const printable = refusal?.message.replace(/[^\x20-\x7e]/g, '?') ?? 'no reason given'
    const reason = /^[A-Za-z]{1,40}$/.test(refusal?.reason ?? '') ? (refusal?.reason ?? '') : 'PeerUnreachable'
    throw new HansaError(reason, `the ledger of peer ${peerName} answers ${status}: ${printable}`)
  }
  return { ask, close: () => pool.destroy() }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no JSON: no answer
  }
}
