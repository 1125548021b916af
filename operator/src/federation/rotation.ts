import { parseCanonicalJson } from './canonical-json.ts'
import { dateTimeOf } from './date-time.ts'
import { isEnvelopeBy, readEnvelope, signEnvelope } from './dsse.ts'
import { messageKinds, rotationSchema } from './messages.ts'
import { readPublicKey } from './public-key.ts'
import type { Signer } from './signer.ts'

const { payloadType } = messageKinds.Rotation

/** The old root key's word that `newKey` follows it. */
export function signRotation(
  rotation: { trustDomain: string; newKey: string; now: number },
  oldRoot: Signer,
  signal: AbortSignal,
): Promise<string> {
  const { trustDomain, newKey, now } = rotation
  const payload = { version: 1, trustDomain, oldKey: oldRoot.publicKey, newKey, issued: dateTimeOf(now) }
  return signEnvelope(payloadType, payload, oldRoot, signal)
}

/** The key that an envelope of a rotation says it leads away from; not checked. */
export function claimedOldKey(envelope: string): string | undefined {
  const read = readEnvelope(envelope)
  return read === undefined ? undefined : rotationSchema.safeParse(parseCanonicalJson(read.payload)?.value).data?.oldKey
}

/** One step from key to key, if the envelope is a rotation of that trust domain that its old key signed. */
export function readRotation(envelope: string, trustDomain: string): { oldKey: string; newKey: string } | undefined {
  const read = readEnvelope(envelope)
  if (read?.payloadType !== payloadType) return undefined
  const { data } = rotationSchema.safeParse(parseCanonicalJson(read.payload)?.value)
  if (data === undefined || data.trustDomain !== trustDomain || readPublicKey(data.newKey) === undefined)
    return undefined
  return isEnvelopeBy(data.oldKey, read) ? { oldKey: data.oldKey, newKey: data.newKey } : undefined
}

/** Root keys from the first to the last, without repetition; undefined when a step is missing or wrong. */
export function rootKeyChain(rotations: readonly string[], lastKey: string, trustDomain: string): string[] | undefined {
  const chain: string[] = []
  for (const rotation of rotations) {
    const step = readRotation(rotation, trustDomain)
    if (step === undefined || (chain.length > 0 && chain.at(-1) !== step.oldKey)) return undefined
    if (chain.length === 0) chain.push(step.oldKey)
    chain.push(step.newKey)
  }
  if (chain.length === 0) chain.push(lastKey)
  return chain.at(-1) === lastKey && new Set(chain).size === chain.length ? chain : undefined
}
