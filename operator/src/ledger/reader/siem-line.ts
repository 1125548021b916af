import { dateTimeOf } from '../../federation/date-time.ts'
import type { LedgerEvent } from '../store/store.ts'

/** A ledger's event as SIEM systems take it: one line of JSON with fixed fields, nothing of persons. See docs/ledger.md. */
export function siemLine({ sequence, at, type, peer, requestId, epoch, number, reason, message }: LedgerEvent): string {
  const fields = {
    sequence,
    time: dateTimeOf(at),
    source: 'hansa-ledger',
    event: type,
    severity: type === 'Disputed' || type === 'Refused' || type === 'ReceiptReplayed' ? 'warning' : 'info',
    ...(peer !== '' && { peer }),
    requestId,
    epoch,
    claim: number,
    reason,
    message,
  }
  return `${JSON.stringify(fields)}\n`
}
