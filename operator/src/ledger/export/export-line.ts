import { z } from 'zod'
import { envelopeText, sequence, sha256, trustDomain } from '../../api/owner-scalars.ts'
import { dnsLabel } from '../../api/scalar.ts'

const cluster = z.strictObject({ trustDomain, clusterName: dnsLabel })
/** A log of 2^53 entries has no longer proof. */
const proof = z.array(sha256).max(106)
const line = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.strictObject({ type: z.literal(type), ...shape })

/**
 * One line of an export: canonical JSON, in this order: head; bundles; checkpoints, each with its cosignatures; then each claim with its
 * leaves and its settlements; end.
 */
export const exportLineSchema = z.discriminatedUnion('type', [
  line('head', {
    version: z.literal(1),
    /** Whose log, and with whom. */
    log: cluster,
    peer: cluster,
    /** Claims whose minute ends in it, UTC. */
    month: z.string().regex(/^\d{4}-\d{2}$/),
    made: z.string().max(40),
  }),
  /** A root-signed bundle of one of the two, or of a witness. */
  line('bundle', { envelope: envelopeText }),
  /** `proof`: that it goes on from the checkpoint before it in this file; empty for the first. */
  line('checkpoint', { envelope: envelopeText, proof }),
  line('cosignature', { envelope: envelopeText }),
  /** `index` and `proof`: where the envelope is in the log at the last checkpoint of this file. */
  line('claim', { envelope: envelopeText, index: sequence, proof }),
  /** A receipt of the claim before it, in the order of leaf hashes: its bytes, or the hash alone where they were pruned. */
  line('receipt', { body: z.string().min(2).max(4096) }),
  line('leaf', { hash: sha256 }),
  line('settlement', { envelope: envelopeText, index: sequence, proof }),
  /** Number of lines before, and SHA-256 of their bytes. */
  line('end', { lines: sequence, sha256 }),
])
export type ExportLine = z.infer<typeof exportLineSchema>

/** Longest line: an envelope, which is escaped JSON, and a proof. */
export const maxLineBytes = 1024 * 1024
