import type { Checkpoint } from '../../federation/messages.ts'
import type { Claim as ClaimMessage, Cosignature, Settlement as SettlementMessage } from '../message-types.ts'
import type { Receipt } from '../receipt.ts'
import type { LedgerRecord } from '../record.ts'

/** Whether we did the work of a grant, or asked for it. */
export type Side = 'Executor' | 'Requester'

/** Work of one owner for another, as one side's books name it. `peer` is the name of the Peer object. */
export type GrantKey = { side: Side; peer: string; requestId: string; epoch: number }

/** What statements need to know of a grant, and claims are made of. Kept after RemoteWork and GuestWork are gone. */
export type Grant = GrantKey & {
  /** Our Identity that the work is done or asked for under; each has a log of its own. */
  identity: string
  namespace: string
  service: string
  costCentre?: string
  dataClass: string
  purpose: string
  price?: { currency: string; microsPerGPUHour: number }
  /** GPU seconds that workers were reserved so far, as known last; grows. */
  reservedGPUSeconds: number
  /** GPU seconds that were missing between a preemption and the end that the lease would have had. */
  preemptedGPUSeconds: number
  /** Requester: what was asked for, and when we first knew of the grant (milliseconds since 1970): bounds the GPU seconds of its claims. */
  asked?: { replicas: number; gpusPerWorker: number; drainSeconds: number; since: number }
  /** When the grant ended, milliseconds since 1970. */
  endedAt?: number
}

/** One line of a gateway's spool. */
export type GatewayRecord = LedgerRecord

/**
 * `next`: position that the ledger waits for. `taken`: how many of these records were new. `replayed`: receipts of an id that is known
 * with other bytes; the first one counts and these do not.
 */
export type Taken = { next: number; taken: number; replayed: { peer: string; requestId: string; epoch: number }[] }

/** A receipt as kept: its bytes are `receiptBytes(receipt)`; undefined once they were pruned. `claim`: number of the claim that has it. */
export type KeptReceipt = { id: string; leaf: string; receipt: Receipt | undefined; claim: number | undefined }

type Of<K extends LedgerRecord['kind']> = Extract<LedgerRecord, { kind: K }>
/**
 * What our gateways saw of one request that we sent, with the times (milliseconds since 1970) of their clocks; who called and the salt are not
 * in here.
 */
export type Observation = {
  id: string
  sent?: Omit<Of<'Sent'>['request'], 'salt' | 'callerName'> & { at: number }
  seen?: Of<'Seen'>['answer'] & { at: number }
}

export type ClaimState = 'Claimed' | 'Agreed' | 'Disputed'

/** A claim that we made (Executor) or heard (Requester), and what was said to it last. */
export type KeptClaim = GrantKey & {
  number: number
  claim: ClaimMessage
  envelope: string
  payloadSha256: string
  state: ClaimState
  /** The last settlement. */
  settlement?: { settlement: SettlementMessage; envelope: string }
}

/** A signed message as it goes into log and books. */
export type Signed<T> = { message: T; envelope: string; payloadSha256: string }

export type LogHead = { size: number; root: string }
export type EntryKind = 'Claim' | 'Settlement'
/** One entry of a log: the envelope, whose bytes are the leaf. */
export type LogEntry = { index: number; kind: EntryKind; peer: string; side: Side; envelope: string }

export type KeptCheckpoint = { checkpoint: Checkpoint; envelope: string }
export type KeptCosignature = { witness: string; cosignature: Cosignature; envelope: string }

/** For auditors and SIEM systems; holds nothing of persons. */
export type LedgerEvent = {
  sequence: number
  at: number
  type: 'ClaimMade' | 'ClaimHeard' | 'Agreed' | 'Disputed' | 'Refused' | 'ReceiptReplayed' | 'Restored' | 'Erased'
  peer: string
  requestId?: string
  epoch?: number
  number?: number
  reason?: string
  message?: string
}

export type NewEvent = Omit<LedgerEvent, 'sequence'>

/** A message that must be delivered until it is; `key` names it among those of the peer, a later one of the same key replaces it. */
export type OutboxMessage = { peer: string; key: string; kind: string; envelope: string }

/**
 * The books of one owner. Each method is one transaction: when its promise resolves, what it says is on disk, and a crash before leaves
 * nothing of it. One process writes at a time. Throws `HansaError` with reason `LedgerFenced` once another writer may have taken over or the
 * connection was lost: the process must then end.
 */
export type LedgerStore = {
  // --- what gateways tell
  /** Takes records of a spool from position `first`; those that were taken before are skipped, none is taken after a gap. */
  takeRecords(gateway: string, first: number, records: readonly GatewayRecord[], now: number): Promise<Taken>
  /** 0 for a gateway that is not known. */
  spoolPosition(gateway: string): Promise<number>
  /** Goes on at a later position, after a restore: what lies between is lost here, and comes back from peers or not at all. */
  skipSpool(gateway: string, to: number): Promise<void>

  // --- grants
  saveGrant(grant: Grant): Promise<void>
  grant(key: GrantKey): Promise<Grant | undefined>
  /** In the order of their keys, from behind `after`. */
  grants(filter: { side?: Side; peer?: string; after?: GrantKey; limit: number }): Promise<Grant[]>

  // --- receipts
  /** Receipts of the grant that no claim has yet, in ascending order of their leaf hashes. */
  claimable(grant: GrantKey, limit: number): Promise<KeptReceipt[]>
  /** Grants that have such receipts. */
  grantsWithClaimable(side: Side): Promise<GrantKey[]>
  /** Receipts that the peer sent us for a claim of its; those that are known with the same bytes are skipped. Returns ids known with others. */
  saveReceipts(grant: GrantKey, receipts: readonly Receipt[], now: number): Promise<{ replayed: string[] }>
  receiptsById(grant: GrantKey, ids: readonly string[]): Promise<KeptReceipt[]>
  /** Leaves of a claim in ascending order of their hashes, from behind `after`. */
  receiptsOfClaim(grant: GrantKey, number: number, after: string | undefined, limit: number): Promise<KeptReceipt[]>
  observations(grant: GrantKey, ids: readonly string[]): Promise<Observation[]>
  /** Receipts and GPU seconds (reserved) that were served or claimed and are not agreed. */
  notAgreed(grant: GrantKey): Promise<{ receipts: number; gpuSeconds: number }>

  // --- claims and settlements; each is appended to the log of the identity in the same transaction
  /**
   * Keeps a claim and gives it the receipts with these leaf hashes. Throws `LedgerConflict` when its number is not the next one, `previous` does
   * not fit, or (Executor) a receipt is not there or in another claim. A claim that is kept already is left as it is.
   */
  saveClaim(
    grant: GrantKey,
    identity: string,
    claim: Signed<ClaimMessage>,
    leaves: readonly string[],
    now: number,
  ): Promise<KeptClaim>
  /** Keeps what was said to a claim. The last word counts; Agreed is final. Throws `LedgerConflict` when it is not about that claim. */
  saveSettlement(
    grant: GrantKey,
    identity: string,
    settlement: Signed<SettlementMessage>,
    now: number,
  ): Promise<KeptClaim>
  claim(grant: GrantKey, number: number): Promise<KeptClaim | undefined>
  lastClaim(grant: GrantKey): Promise<KeptClaim | undefined>
  /** GPU seconds and count of all claims of a grant. */
  claimedTotals(grant: GrantKey): Promise<{ claims: number; requests: number; reservedGPUSeconds: number }>
  /** In the order of grant and number, from behind `after`. `from` and `until` bound the end of what it is about, milliseconds. */
  claims(filter: ClaimFilter): Promise<KeptClaim[]>
  settlements(grant: GrantKey, number: number): Promise<{ settlement: SettlementMessage; envelope: string }[]>

  // --- logs, one for each identity
  head(identity: string): Promise<LogHead>
  /** Root when it had that size; throws RangeError for one that it never had. */
  rootAt(identity: string, size: number): Promise<string>
  entries(identity: string, from: number, limit: number): Promise<LogEntry[]>
  /** Where the entry with that leaf hash stands. */
  indexOf(identity: string, leaf: string): Promise<number | undefined>
  inclusionProof(identity: string, index: number, size: number): Promise<string[]>
  consistencyProof(identity: string, from: number, to: number): Promise<string[]>
  /** Appends entries that the log lost, at index `first`, which must be its size, and takes claims and settlements of them into the books. */
  restoreEntries(
    identity: string,
    first: number,
    entries: readonly Omit<LogEntry, 'index'>[],
    now: number,
  ): Promise<void>

  // --- checkpoints of ours and of others
  saveCheckpoint(identity: string, checkpoint: KeptCheckpoint): Promise<void>
  lastCheckpoint(identity: string): Promise<KeptCheckpoint | undefined>
  checkpoints(identity: string, after: number, limit: number): Promise<KeptCheckpoint[]>
  saveCosignature(identity: string, cosignature: KeptCosignature): Promise<void>
  cosignatures(identity: string, size: number): Promise<KeptCosignature[]>
  /** The highest checkpoint of a peer's log that we cosigned. Replaces a lower one; throws `LedgerConflict` for another root of the same size. */
  saveWitnessed(peer: string, checkpoint: KeptCheckpoint): Promise<void>
  witnessed(peer: string): Promise<KeptCheckpoint | undefined>

  // --- bundles of ours and of peers, all of them: keys change, and what they signed must stay verifiable
  saveBundle(trustDomain: string, clusterName: string, sequence: number, envelope: string): Promise<void>
  bundles(trustDomain: string, clusterName: string): Promise<string[]>

  // --- messages
  putOutbox(message: OutboxMessage): Promise<void>
  outbox(peer: string, limit: number): Promise<OutboxMessage[]>
  delivered(peer: string, key: string): Promise<void>

  // --- events
  saveEvent(event: NewEvent): Promise<void>
  events(after: number, limit: number): Promise<LedgerEvent[]>

  // --- retention and erasure
  /** Salts and caller names of before that time. Receipts, claims and logs stay as they are. */
  eraseSalts(before: number): Promise<number>
  /** Salts and names of one caller, by name, on the requester's side. */
  eraseCaller(callerName: string, now: number): Promise<number>
  /** Bytes of receipts of agreed claims that ended before; leaf hashes stay. */
  pruneReceipts(before: number, limit: number): Promise<number>
  /** Salt of one receipt, to show what a commitment is of; undefined once erased. */
  salt(grant: GrantKey, id: string): Promise<{ salt: string; callerName?: string } | undefined>

  /** Rejects once nothing can be written any more. */
  readonly lost: Promise<never>
  close(): Promise<void>
}

export type ClaimFilter = {
  side?: Side
  peer?: string
  state?: ClaimState
  identity?: string
  from?: number
  until?: number
  after?: GrantKey & { number: number }
  limit: number
}
