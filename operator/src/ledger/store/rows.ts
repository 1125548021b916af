import type { Claim, Settlement } from '../message-types.ts'
import type { Receipt } from '../receipt.ts'
import { number, type Row, text, textOrNone, type Value } from './database.ts'
import type { ClaimState, GrantKey, KeptClaim, KeptReceipt, Side } from './store.ts'

/** Condition for one grant; its values are `keyOf`. */
export const isGrant = 'side = ? AND peer = ? AND request_id = ? AND epoch = ?'

export function keyOf({ side, peer, requestId, epoch }: GrantKey): [Value, Value, Value, Value] {
  return [side, peer, requestId, epoch]
}

export function grantKeyOf(row: Row): GrantKey {
  return { side: sideOf(row), peer: text(row, 'peer'), requestId: text(row, 'request_id'), epoch: number(row, 'epoch') }
}

export function sideOf(row: Row): Side {
  return text(row, 'side') === 'Executor' ? 'Executor' : 'Requester'
}

export function receiptOf(row: Row): KeptReceipt {
  const body = textOrNone(row, 'body')
  return {
    id: text(row, 'id'),
    leaf: text(row, 'leaf'),
    receipt: body === undefined ? undefined : saved(body),
    claim: row.claim === null ? undefined : number(row, 'claim'),
  }
}

export function claimOf(row: Row): KeptClaim {
  const envelope = text(row, 'envelope')
  const settlement = textOrNone(row, 'settlement')
  return {
    ...grantKeyOf(row),
    number: number(row, 'number'),
    claim: payloadOf<Claim>(envelope),
    envelope,
    payloadSha256: text(row, 'payload_sha256'),
    state: stateOf(text(row, 'state')),
    ...(settlement !== undefined && {
      settlement: { settlement: payloadOf<Settlement>(settlement), envelope: settlement },
    }),
  }
}

function stateOf(value: string): ClaimState {
  if (value === 'Agreed' || value === 'Disputed') return value
  return 'Claimed'
}

/** What an envelope says that was opened before it was saved: its form is known to be right. */
export function payloadOf<T>(envelope: string): T {
  const { payload }: { payload: string } = JSON.parse(envelope)
  return JSON.parse(Buffer.from(payload, 'base64').toString()) as T
}

/** JSON that we wrote ourselves. */
export function saved<T = Receipt>(json: string): T {
  return JSON.parse(json) as T
}

/** As many question marks as there are values, for IN. */
export const marks = (values: readonly unknown[]) => values.map(() => '?').join(', ')
