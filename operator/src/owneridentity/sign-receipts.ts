import { z } from 'zod'
import type { Peer } from '../api/peer.ts'
import { objectName } from '../api/scalar.ts'
import { signEnvelope } from '../federation/dsse.ts'
import type { Seal } from '../federation/federation.ts'
import {
  checkpointPayloadType,
  checkpointSchema,
  claimSchema,
  cosignatureSchema,
  settlementSchema,
} from '../federation/messages.ts'
import type { Sealing } from '../federation/seal-message.ts'
import type { ReceiptSigner } from '../identity/endpoint.ts'
import { Refusal } from '../identity/refusal.ts'
import { HansaError } from '../process/errors.ts'

/** The only account that has receipts signed. */
const ledgerAccount = 'hansa-ledger'
/** Claims and settlements wait for a peer that is away; both sides keep them anyway. */
const validSeconds = 90 * 86_400

/** What the signer fills in is not taken from the ledger. */
const filled = { version: true, issuer: true, audience: true, issued: true, expires: true } as const
const strict = { Claim: claimSchema, Settlement: settlementSchema, Cosignature: cosignatureSchema }
const bodySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('Claim'), peer: objectName, message: strict.Claim.omit(filled).strict() }),
  z.strictObject({ kind: z.literal('Settlement'), peer: objectName, message: strict.Settlement.omit(filled).strict() }),
  z.strictObject({
    kind: z.literal('Cosignature'),
    peer: objectName,
    message: strict.Cosignature.omit(filled).strict(),
  }),
  z.strictObject({
    kind: z.literal('Checkpoint'),
    message: checkpointSchema.pick({ size: true, root: true }).strict(),
  }),
])

/**
 * Signs claims, settlements, cosignatures and checkpoints for the ledger with the key Receipt of an Identity, and nothing else: who
 * takes over the ledger can lie about receipts, but neither ask for work nor grant it.
 */
export function receiptSigner(deps: {
  namespace: string
  readPeer: (name: string, signal: AbortSignal) => Promise<Peer | undefined>
  seal: Seal
  sealingOf: (identityName: string, signal: AbortSignal) => Promise<Sealing>
  now: () => number
}): ReceiptSigner {
  return async ({ identityName, requester, body, signal }) => {
    const { namespace, serviceAccount } = requester
    if (namespace !== deps.namespace || serviceAccount !== ledgerAccount) {
      throw new Refusal(
        403,
        'AccountNotAllowed',
        `${namespace}/${serviceAccount} signs no receipts; ${ledgerAccount} does`,
      )
    }
    const { data: wanted, error } = bodySchema.safeParse(body)
    if (wanted === undefined) {
      const where = error.issues[0]?.path.join('.') ?? ''
      throw new Refusal(400, 'RequestInvalid', `the body has not the form of something that is signed here: ${where}`)
    }
    try {
      if (wanted.kind === 'Checkpoint') return { envelope: await checkpoint(identityName, wanted.message, signal) }
      const peer = await deps.readPeer(wanted.peer, signal)
      if (peer === undefined) throw new Refusal(404, 'PeerNotFound', `there is no Peer ${wanted.peer}`)
      if (peer.spec.identityRef.name !== identityName) {
        throw new Refusal(403, 'PeerOfAnotherIdentity', `Peer ${wanted.peer} does not know us as ${identityName}`)
      }
      const options = { identityName, peer, seconds: validSeconds, signal }
      switch (wanted.kind) {
        case 'Claim':
          return { envelope: await deps.seal('Claim', wanted.message, options) }
        case 'Settlement':
          return { envelope: await deps.seal('Settlement', wanted.message, options) }
        case 'Cosignature':
          return { envelope: await deps.seal('Cosignature', wanted.message, options) }
      }
    } catch (thrown) {
      if (thrown instanceof Refusal || !(thrown instanceof HansaError) || thrown.retry === 'never') throw thrown
      throw new Refusal(503, thrown.reason, thrown.message, 5)
    }
  }

  async function checkpoint(name: string, { size, root }: { size: number; root: string }, signal: AbortSignal) {
    const { bundle, signerOf } = await deps.sealingOf(name, signal)
    const { trustDomain, clusterName } = bundle
    const issued = new Date(deps.now()).toISOString()
    const said = { version: 1, issuer: { trustDomain, clusterName }, size, root, issued }
    return signEnvelope(checkpointPayloadType, said, signerOf('Receipt'), signal)
  }
}
