import { createHash } from 'node:crypto'
import type { RemoteWork, ToExecutor } from '../api/remote-work.ts'
import { parseCanonicalJson } from '../federation/canonical-json.ts'
import { readEnvelope } from '../federation/dsse.ts'
import { type MessageOf, messageKinds } from '../federation/messages.ts'

/** A message of ours, read back from the outbox. */
export type OwnMessage<K extends ToExecutor> = { message: MessageOf<K>; envelope: string; payloadSha256: string }

/** The message of that kind in the outbox; undefined where there is none, or what is there was not written by us. */
export function ownMessage<K extends ToExecutor>(work: RemoteWork, kind: K): OwnMessage<K> | undefined {
  const envelope = work.status?.outbox?.find((entry) => entry.kind === kind)?.envelope
  return envelope === undefined ? undefined : readOwn(kind, envelope)
}

/** Reads a message that we signed; the signature is not asked for. */
export function readOwn<K extends ToExecutor>(kind: K, envelope: string): OwnMessage<K> | undefined {
  const read = readEnvelope(envelope)
  if (read === undefined || read.payloadType !== messageKinds[kind].payloadType) return undefined
  // Whoever may write the status may write anything into it.
  const { data } = messageKinds[kind].schema.safeParse(parseCanonicalJson(read.payload)?.value)
  if (data === undefined) return undefined
  const payloadSha256 = createHash('sha256').update(read.payload).digest('hex')
  // The schema is that of the kind; the compiler does not tie the two for a generic kind.
  return { message: data as MessageOf<K>, envelope, payloadSha256 }
}
