import { createHash } from 'node:crypto'
import { readEnvelope } from '../../federation/dsse.ts'
import { HansaError } from '../../process/errors.ts'
import type { Claim, Settlement } from '../message-types.ts'
import { putClaim, putSettlement } from './claims.ts'
import type { Database } from './database.ts'
import { appendEvent } from './events.ts'
import { appendEntry, sizeOf } from './log-books.ts'
import { payloadOf } from './rows.ts'
import type { LedgerStore, LogEntry, Signed } from './store.ts'

/** Puts back what a restored log lacks, in its order, so that it has the roots that witnesses saw. */
export function restoreBooks(db: Database): Pick<LedgerStore, 'restoreEntries'> {
  return {
    restoreEntries: (identity, first, entries, now) =>
      db.transaction(async (sql) => {
        const size = await sizeOf(sql, identity)
        if (first !== size) {
          throw new HansaError('LedgerConflict', `the log of ${identity} goes on at ${size}, not at ${first}`, {
            retry: 'never',
          })
        }
        for (const entry of entries) {
          const { side, peer } = entry
          if (entry.kind === 'Claim') {
            const claim = signedOf<Claim>(entry)
            const { requestId, epoch } = claim.message
            await putClaim(sql, { side, peer, requestId, epoch }, identity, claim)
          } else {
            const settlement = signedOf<Settlement>(entry)
            const { requestId, epoch } = settlement.message
            await putSettlement(sql, { side, peer, requestId, epoch }, settlement)
          }
          await appendEntry(sql, identity, entry)
        }
        const [some] = entries
        const message = `${entries.length} entries of the log of ${identity} from index ${first}`
        if (some !== undefined) await appendEvent(sql, { at: now, type: 'Restored', peer: some.peer, message })
      }),
  }
}

function signedOf<T>({ envelope }: Omit<LogEntry, 'index'>): Signed<T> {
  const read = readEnvelope(envelope)
  if (read === undefined) throw new RangeError('an entry of the log is not a DSSE envelope')
  const payloadSha256 = createHash('sha256').update(read.payload).digest('hex')
  return { message: payloadOf<T>(envelope), envelope, payloadSha256 }
}
