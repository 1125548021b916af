import { createHash } from 'node:crypto'
import { parseCanonicalJson } from '../federation/canonical-json.ts'
import { readEnvelope } from '../federation/dsse.ts'
import { claimSchema, cosignatureSchema, settlementSchema } from '../federation/messages.ts'
import { HansaError } from '../process/errors.ts'
import type { Claim, Cosignature, Settlement } from './message-types.ts'
import type { Signed } from './store/store.ts'

const schemas = { Claim: claimSchema, Settlement: settlementSchema, Cosignature: cosignatureSchema }
type Messages = { Claim: Claim; Settlement: Settlement; Cosignature: Cosignature }

/** What our own operator signed for us; throws when it is not what was asked for. */
export function readSigned<K extends keyof Messages>(kind: K, envelope: string): Signed<Messages[K]> {
  const read = readEnvelope(envelope)
  const { data } = schemas[kind].safeParse(parseCanonicalJson(read?.payload ?? Buffer.alloc(0))?.value)
  if (read === undefined || data === undefined) {
    throw new HansaError('SignatureUnusable', `the operator signed something that is no ${kind}`)
  }
  // The schema is that of the kind; the compiler does not tie the two for a generic kind.
  const message = data as Messages[K]
  return { message, envelope, payloadSha256: createHash('sha256').update(read.payload).digest('hex') }
}
