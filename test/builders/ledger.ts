import { createHash } from 'node:crypto'
import { canonicalJson } from '../../operator/src/federation/canonical-json.ts'
import { dateTimeOf } from '../../operator/src/federation/date-time.ts'
import { signEnvelope } from '../../operator/src/federation/dsse.ts'
import { checkpointPayloadType, messageKinds } from '../../operator/src/federation/messages.ts'
import type { Signer } from '../../operator/src/federation/signer.ts'
import { merkleRoot } from '../../operator/src/ledger/log/root-builder.ts'
import type { Claim, Cosignature, Settlement } from '../../operator/src/ledger/message-types.ts'
import { leafHash, type Receipt, receiptBytes } from '../../operator/src/ledger/receipt.ts'
import type { GrantKey, Signed } from '../../operator/src/ledger/store/store.ts'

export const requestId = '00000000-0000-4000-8000-000000000001'
/** 2026-11-02, some time of a working day. */
export const start = Date.parse('2026-11-02T10:00:00Z')
const price = { currency: 'EUR', microsPerGPUHour: 400_000 }

/** Ids of receipts that a test can tell apart: 22 characters of base64url. */
export const idOf = (number: number) => Buffer.from(`receipt ${number}`.padEnd(16, '.')).toString('base64url')
export const saltOf = (number: number) => Buffer.from(`salt ${number}`.padEnd(16, '.')).toString('base64url')

export function receipt(number: number, changes: Partial<Receipt> = {}): Receipt {
  const hash = (what: string) => createHash('sha256').update(`${what} ${number}`).digest('hex')
  return {
    version: 1,
    requestId,
    epoch: 1,
    id: idOf(number),
    ended: dateTimeOf(start + number * 1000),
    model: createHash('sha256').update('model').digest('hex'),
    request: hash('request'),
    response: hash('response'),
    caller: hash('caller'),
    requestBytes: 100 + number,
    responseBytes: 1000 + number,
    status: 200,
    inputTokens: 10,
    outputTokens: 20 + number,
    busyGPUMilliseconds: 500,
    price,
    dataClass: 'Internal',
    purpose: 'Triage',
    ...changes,
  }
}

export const leafOf = (of: Receipt) => leafHash(receiptBytes(of))

export type Cluster = { trustDomain: string; clusterName: string }
type Parties = { issuer: Cluster; audience: Cluster }

/** What a claim over these receipts says, for a minute. */
export function claimOver(
  receipts: readonly Receipt[],
  { issuer, audience }: Parties,
  { number = 1, previous, reserved = 60, final = false, changes = {} }: ClaimChanges = {},
): Claim {
  const sum = (of: (receipt: Receipt) => number) => receipts.reduce((total, each) => total + of(each), 0)
  const from = start + (number - 1) * 60_000
  return {
    version: 1,
    issuer,
    audience,
    sequence: number,
    issued: dateTimeOf(from + 60_000),
    expires: dateTimeOf(from + 3_660_000),
    requestId,
    epoch: 1,
    number,
    ...(previous !== undefined && { previous }),
    from: dateTimeOf(from),
    until: dateTimeOf(from + 60_000),
    root: merkleRoot(receipts.map(leafOf).sort()),
    count: receipts.length,
    units: {
      requests: receipts.length,
      inputTokens: sum((each) => each.inputTokens),
      outputTokens: sum((each) => each.outputTokens),
      requestBytes: sum((each) => each.requestBytes),
      responseBytes: sum((each) => each.responseBytes),
      busyGPUMilliseconds: sum((each) => each.busyGPUMilliseconds),
      reservedGPUSeconds: reserved,
    },
    price,
    micros: Math.floor((reserved * price.microsPerGPUHour) / 3600),
    final,
    ...changes,
  }
}
type ClaimChanges = { number?: number; previous?: string; reserved?: number; final?: boolean; changes?: Partial<Claim> }

export function settlementOf(
  claim: Claim,
  claimSha256: string,
  { issuer, audience }: Parties,
  { sequence = claim.number, state = 'Agreed', disputes = [] }: Partial<Settlement> = {},
): Settlement {
  const { requestId: id, epoch, number } = claim
  const at = Date.parse(claim.issued) + sequence
  return {
    version: 1,
    issuer,
    audience,
    sequence,
    issued: dateTimeOf(at),
    expires: dateTimeOf(at + 3_600_000),
    requestId: id,
    epoch,
    number,
    claimSha256,
    state,
    disputes,
  }
}

const never = new AbortController().signal
const { Claim: claimKind, Settlement: settlementKind, Cosignature: cosignatureKind } = messageKinds

async function signed<T>(payloadType: string, message: T, signer: Signer): Promise<Signed<T>> {
  const envelope = await signEnvelope(payloadType, message, signer, never)
  return { message, envelope, payloadSha256: createHash('sha256').update(canonicalJson(message)).digest('hex') }
}

export const signClaim = (claim: Claim, signer: Signer) => signed(claimKind.payloadType, claim, signer)
export const signSettlement = (settlement: Settlement, signer: Signer) =>
  signed(settlementKind.payloadType, settlement, signer)
export const signCosignature = (cosignature: Cosignature, signer: Signer) =>
  signed(cosignatureKind.payloadType, cosignature, signer)
export const signCheckpoint = (log: { issuer: Cluster; size: number; root: string; at: number }, signer: Signer) => {
  const { issuer, size, root, at } = log
  return signed(checkpointPayloadType, { version: 1 as const, issuer, size, root, issued: dateTimeOf(at) }, signer)
}

export const executed: GrantKey = { side: 'Executor', peer: 'university', requestId, epoch: 1 }
export const requested: GrantKey = { side: 'Requester', peer: 'hospital', requestId, epoch: 1 }
