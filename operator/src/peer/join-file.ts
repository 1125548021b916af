import { createHash } from 'node:crypto'
import { z } from 'zod'
import { envelopeText, nonce, sha256 } from '../api/owner-scalars.ts'

/** An instant to the second, in the one form that we write. */
const instant = z
  .string()
  .max(20)
  .regex(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/)
  .refine((text) => instantOf(Date.parse(text)) === text, 'must be a date that exists')

const forms = {
  /** What an inviter sends. It holds no secret; who reads it can accept, but not be verified. */
  HansaInvite: z.strictObject({
    kind: z.literal('HansaInvite'),
    version: z.literal(1),
    nonce,
    expires: instant,
    bundle: envelopeText,
  }),
  /** What the accepter sends back. */
  HansaAcceptance: z.strictObject({
    kind: z.literal('HansaAcceptance'),
    version: z.literal(1),
    inviteSha256: sha256,
    nonce,
    bundle: envelopeText,
  }),
}

export type JoinFileKind = keyof typeof forms
export type JoinFile<K extends JoinFileKind> = z.infer<(typeof forms)[K]>
export type Invite = JoinFile<'HansaInvite'>
export type Acceptance = JoinFile<'HansaAcceptance'>

/** A bundle of at most 256 KiB, escaped, and the little around it. */
export const maxJoinFileBytes = 320 * 1024

/** The only text of a join file: members in the order of its form, two blanks, a line break at the end. */
export function writeJoinFile<K extends JoinFileKind>(file: JoinFile<K>): string {
  return `${JSON.stringify(forms[file.kind].parse(file), null, 2)}\n`
}

/**
 * Reads a join file. Only the very bytes that `writeJoinFile` makes are taken, so that a file has one meaning: no member twice, none that we do
 * not know, no second way to write a character.
 */
export function readJoinFile<K extends JoinFileKind>(
  kind: K,
  bytes: Uint8Array,
): { file: JoinFile<K>; sha256: string } | { problem: string } {
  if (bytes.length > maxJoinFileBytes) return { problem: `it is longer than ${maxJoinFileBytes} bytes` }
  const parsed = parse(bytes)
  if (parsed === undefined) return { problem: 'it is no JSON in UTF-8' }
  const found = typeof parsed.value === 'object' && parsed.value !== null && 'kind' in parsed.value && parsed.value.kind
  if (found !== kind && typeof found === 'string' && found in forms) return { problem: `it is of kind ${found}` }
  const read = forms[kind].safeParse(parsed.value)
  if (!read.success) {
    const [issue] = read.error.issues
    return { problem: `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'has another form'}` }
  }
  // The form was chosen by `kind`.
  const file = read.data as JoinFile<K>
  if (writeJoinFile(file) !== parsed.text)
    return { problem: 'it was changed after it was made (be it only by a mail program)' }
  return { file, sha256: sha256Of(bytes) }
}

/** SHA-256 in hex. */
export function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** An instant to the second, such as `2026-03-01T12:00:00Z`; empty for what is no time. */
export function instantOf(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? `${new Date(milliseconds).toISOString().slice(0, 19)}Z` : ''
}

function parse(bytes: Uint8Array): { text: string; value: unknown } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { text, value: JSON.parse(text) }
  } catch {
    return undefined // the caller says that it is no JSON
  }
}
