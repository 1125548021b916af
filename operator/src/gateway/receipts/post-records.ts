import { Client } from 'undici'
import { identityConnector } from '../../identity/connector.ts'
import type { Identity } from '../../identity/identity.ts'
import { batchAnswerSchema } from '../../ledger/record.ts'
import { HansaError } from '../../process/errors.ts'
import type { PostRecords } from './push-records.ts'

const maxAnswerBytes = 4 * 1024 * 1024

/** Hands records to the ledger over mutual TLS. */
export function postRecords(deps: {
  url: string
  uri: string
  identity: Identity
}): PostRecords & { close(): Promise<void> } {
  const client = new Client(deps.url, {
    connect: identityConnector(deps.identity, deps.uri),
    pipelining: 1,
    headersTimeout: 20_000,
    bodyTimeout: 20_000,
    // A certificate that was renewed is shown at the next connection.
    keepAliveTimeout: 10_000,
    maxResponseSize: maxAnswerBytes,
  })
  const post: PostRecords = async (body, signal) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await client.request({ method: 'POST', path: '/v1/records', headers, body, signal })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) {
      throw new HansaError('LedgerRefused', `the ledger answers ${answer.statusCode}: ${text.slice(0, 300)}`)
    }
    return batchAnswerSchema.parse(JSON.parse(text))
  }
  return Object.assign(post, { close: () => client.destroy() })
}
