import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { canonicalJson, parseCanonicalJson } from '../../federation/canonical-json.ts'
import { parseDateTime } from '../../federation/date-time.ts'
import { type Envelope, readEnvelope } from '../../federation/dsse.ts'

export type Opened<T> = { message: T; envelope: Envelope; issued: number; payloadSha256: string }

/** Reads an envelope of one type; a sentence when it is none. The text must be the one text of its content. */
export function openSigned<T extends { issued: string }>(
  text: string,
  payloadType: string,
  schema: z.ZodType<T>,
): Opened<T> | string {
  const envelope = readEnvelope(text)
  if (envelope === undefined) return 'it is not a DSSE envelope with one signature'
  if (envelope.payloadType !== payloadType) return `its payload is not of type ${payloadType}`
  const { payload, keyId, signature } = envelope
  const only = canonicalJson({
    payload: Buffer.from(payload).toString('base64'),
    payloadType,
    signatures: [{ keyid: keyId, sig: Buffer.from(signature).toString('base64') }],
  })
  if (only !== text) return 'its envelope is not canonical JSON'
  const { data } = schema.safeParse(parseCanonicalJson(payload)?.value)
  if (data === undefined) return 'its payload has not the form that its type wants'
  const issued = parseDateTime(data.issued)
  if (issued === undefined) return 'the time at which it was issued is no time'
  return { message: data, envelope, issued, payloadSha256: createHash('sha256').update(payload).digest('hex') }
}
