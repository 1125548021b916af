import { parseCanonicalJson } from '../../federation/canonical-json.ts'
import { isEnvelopeBy, readEnvelope } from '../../federation/dsse.ts'
import { type Bundle, type Checkpoint, checkpointPayloadType, checkpointSchema } from '../../federation/messages.ts'

export type OpenedCheckpoint = { ok: true; checkpoint: Checkpoint } | { ok: false; message: string }

/**
 * Opens a checkpoint: signed by a key Receipt of the bundle, in the name of the bundle's cluster. It has no audience and no end: a
 * head of a log that was signed once stays said.
 */
export function openCheckpoint(envelope: string, bundle: Bundle): OpenedCheckpoint {
  const refuse = (message: string) => ({ ok: false, message }) as const
  const read = readEnvelope(envelope)
  if (read === undefined || read.payloadType !== checkpointPayloadType)
    return refuse('it is no envelope of a checkpoint')
  if (bundle.revokedAll || bundle.revoked.includes(read.keyId)) return refuse('its issuer revoked the key')
  const key = bundle.roleKeys.find(({ role, keyId }) => role === 'Receipt' && keyId === read.keyId)
  if (key === undefined) return refuse('the bundle of its issuer has no key Receipt of that id')
  if (!isEnvelopeBy(key.publicKey, read)) return refuse('its signature is not by its key')
  const { data: checkpoint } = checkpointSchema.strict().safeParse(parseCanonicalJson(read.payload)?.value)
  if (checkpoint === undefined) return refuse('its payload has not the form of a checkpoint')
  const { trustDomain, clusterName } = checkpoint.issuer
  if (trustDomain !== bundle.trustDomain || clusterName !== bundle.clusterName) {
    return refuse('it is in the name of another cluster')
  }
  return { ok: true, checkpoint }
}
