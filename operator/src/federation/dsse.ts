import { canonicalJson } from './canonical-json.ts'
import { isSignedBy } from './public-key.ts'
import type { Signer } from './signer.ts'

/** Longest envelope, in bytes of its JSON. */
export const maxEnvelopeBytes = 262_144

/** A DSSE envelope that was read, not checked. */
export type Envelope = { payloadType: string; payload: Uint8Array; keyId: string; signature: Uint8Array }

/** What is signed: the pre-authentication encoding of DSSE v1, which binds the type to the payload. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}

/** Signs a payload as canonical JSON; the envelope is canonical JSON too. Throws RangeError when it would be too long to be read. */
export async function signEnvelope(
  payloadType: string,
  payload: unknown,
  signer: Signer,
  signal: AbortSignal,
): Promise<string> {
  const bytes = Buffer.from(canonicalJson(payload))
  const signature = await signer.sign(preAuthEncoding(payloadType, bytes), signal)
  const sig = Buffer.from(signature).toString('base64')
  const envelope = canonicalJson({
    payload: bytes.toString('base64'),
    payloadType,
    signatures: [{ keyid: signer.keyId, sig }],
  })
  if (Buffer.byteLength(envelope) > maxEnvelopeBytes) {
    throw new RangeError(`an envelope of type ${payloadType} is longer than ${maxEnvelopeBytes} bytes`)
  }
  return envelope
}

/**
 * Reads an envelope: JSON of at most 256 KiB with payload, its type and exactly one signature, nothing else; undefined for all
 * other text. Several signatures are refused, since which of them counts would be a question.
 */
export function readEnvelope(text: string): Envelope | undefined {
  if (text.length > maxEnvelopeBytes || Buffer.byteLength(text) > maxEnvelopeBytes) return undefined
  const envelope = members(parse(text), ['payload', 'payloadType', 'signatures'])
  const { payloadType, signatures } = envelope ?? {}
  const payload = base64(envelope?.payload)
  if (!Array.isArray(signatures) || signatures.length !== 1) return undefined
  const only = members(signatures[0], ['keyid', 'sig'])
  const signature = base64(only?.sig)
  if (payload === undefined || signature === undefined || signature.length > 512) return undefined
  if (typeof payloadType !== 'string' || payloadType.length > 128) return undefined
  if (typeof only?.keyid !== 'string' || only.keyid.length > 64) return undefined
  return { payloadType, payload, keyId: only.keyid, signature }
}

/** Whether the envelope's signature is by that key. */
export function isEnvelopeBy(publicKey: string, { payloadType, payload, signature }: Envelope): boolean {
  return isSignedBy(publicKey, preAuthEncoding(payloadType, payload), signature)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no JSON: no envelope
  }
}

/** The members of an object that has exactly these; undefined for any other value. */
function members(value: unknown, names: readonly string[]): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const found = Object.entries(value)
  return found.length === names.length && found.every(([name]) => names.includes(name))
    ? Object.fromEntries(found)
    : undefined
}

/** DSSE allows both alphabets; of each, only the form that an encoder makes. */
function base64(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined
  const standard = value.includes('-') || value.includes('_') ? fromUrlAlphabet(value) : value
  const bytes = Buffer.from(standard, 'base64')
  return bytes.toString('base64') === standard ? bytes : undefined
}

function fromUrlAlphabet(text: string): string {
  if (/[+/]/.test(text)) return '!' // a mixture: no base64
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  return standard.padEnd(Math.ceil(standard.length / 4) * 4, '=')
}
