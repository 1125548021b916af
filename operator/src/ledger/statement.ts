import type { Claim } from './message-types.ts'
import type { ClaimState, Grant, KeptClaim, Side } from './store/store.ts'

/** One claim as statements count it. */
export type StatementRow = {
  side: Side
  peer: string
  namespace: string
  service: string
  costCentre?: string
  units: Claim['units']
  price?: Claim['price']
  micros: number
  state: ClaimState
  /** GPU seconds that a preemption took away; counted once for a grant, with its last claim. */
  preemptedGPUSeconds?: number
}

/** What was given to (Executor) or taken from (Requester) a peer for one service, cost centre and currency. */
export type StatementLine = {
  side: Side
  peer: string
  namespace: string
  service: string
  costCentre: string
  /** Empty where there is no price. */
  currency: string
  claims: number
  requests: number
  inputTokens: number
  outputTokens: number
  requestBytes: number
  responseBytes: number
  reservedGPUSeconds: number
  busyGPUMilliseconds: number
  /** Reserved and not busy. */
  idleGPUMilliseconds: number
  preemptedGPUSeconds: number
  micros: number
  /** Of `micros`: what both sides signed. */
  agreedMicros: number
  disputedMicros: number
}

export type PeerBalance = {
  peer: string
  givenGPUSeconds: number
  takenGPUSeconds: number
  /** Given minus taken: what the peer owes where owners barter. */
  barterGPUSeconds: number
}

/** Micros of each currency: what peers owe us, what we owe, and of both what is agreed. */
export type MoneyBalance = {
  currency: string
  receivable: number
  payable: number
  agreedReceivable: number
  agreedPayable: number
}

export type Statement = { lines: StatementLine[]; balances: PeerBalance[]; money: MoneyBalance[] }

/** A claim with what its grant was about; a grant that is not known is still counted. */
export function statementRow(claim: KeptClaim, grant: Grant | undefined): StatementRow {
  const { side, peer, state } = claim
  const { units, price, micros, final } = claim.claim
  return {
    side,
    peer,
    namespace: grant?.namespace ?? '',
    service: grant?.service ?? '',
    ...(grant?.costCentre !== undefined && { costCentre: grant.costCentre }),
    units,
    ...(price !== undefined && { price }),
    micros,
    state,
    ...(final && grant !== undefined && { preemptedGPUSeconds: grant.preemptedGPUSeconds }),
  }
}

/** Sums claims by peer, side, service and cost centre. Throws RangeError for sums that a number does not hold exactly. */
export function statementOf(rows: Iterable<StatementRow>): Statement {
  const builder = new StatementBuilder()
  for (const row of rows) builder.add(row)
  return builder.statement()
}

/** The same for rows that come one by one. */
export class StatementBuilder {
  readonly #lines = new Map<string, StatementLine>()

  add(row: StatementRow): void {
    const { side, peer, namespace, service, costCentre = '', units, price, micros, state } = row
    const currency = price?.currency ?? ''
    const key = JSON.stringify([peer, side, namespace, service, costCentre, currency])
    const before = this.#lines.get(key)
    const sum = (name: CountName, more: number) => added(before?.[name] ?? 0, more)
    const idle = Math.max(0, units.reservedGPUSeconds * 1000 - units.busyGPUMilliseconds)
    this.#lines.set(key, {
      ...{ side, peer, namespace, service, costCentre, currency },
      claims: sum('claims', 1),
      requests: sum('requests', units.requests),
      inputTokens: sum('inputTokens', units.inputTokens),
      outputTokens: sum('outputTokens', units.outputTokens),
      requestBytes: sum('requestBytes', units.requestBytes),
      responseBytes: sum('responseBytes', units.responseBytes),
      reservedGPUSeconds: sum('reservedGPUSeconds', units.reservedGPUSeconds),
      busyGPUMilliseconds: sum('busyGPUMilliseconds', units.busyGPUMilliseconds),
      idleGPUMilliseconds: sum('idleGPUMilliseconds', idle),
      preemptedGPUSeconds: sum('preemptedGPUSeconds', row.preemptedGPUSeconds ?? 0),
      micros: sum('micros', micros),
      agreedMicros: sum('agreedMicros', state === 'Agreed' ? micros : 0),
      disputedMicros: sum('disputedMicros', state === 'Disputed' ? micros : 0),
    })
  }

  statement(): Statement {
    const lines = [...this.#lines.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, line]) => line)
    return { lines, balances: balancesOf(lines), money: moneyOf(lines) }
  }
}

type CountName = { [K in keyof StatementLine]: StatementLine[K] extends number ? K : never }[keyof StatementLine]

function balancesOf(lines: readonly StatementLine[]): PeerBalance[] {
  const byPeer = new Map<string, PeerBalance>()
  for (const { peer, side, reservedGPUSeconds } of lines) {
    const { givenGPUSeconds = 0, takenGPUSeconds = 0 } = byPeer.get(peer) ?? {}
    const given = side === 'Executor' ? added(givenGPUSeconds, reservedGPUSeconds) : givenGPUSeconds
    const taken = side === 'Requester' ? added(takenGPUSeconds, reservedGPUSeconds) : takenGPUSeconds
    byPeer.set(peer, { peer, givenGPUSeconds: given, takenGPUSeconds: taken, barterGPUSeconds: given - taken })
  }
  return [...byPeer.values()]
}

function moneyOf(lines: readonly StatementLine[]): MoneyBalance[] {
  const byCurrency = new Map<string, MoneyBalance>()
  for (const { currency, side, micros, agreedMicros } of lines) {
    if (currency === '') continue
    const none = { currency, receivable: 0, payable: 0, agreedReceivable: 0, agreedPayable: 0 }
    const balance = byCurrency.get(currency) ?? none
    const ours = side === 'Executor'
    byCurrency.set(currency, {
      currency,
      receivable: added(balance.receivable, ours ? micros : 0),
      payable: added(balance.payable, ours ? 0 : micros),
      agreedReceivable: added(balance.agreedReceivable, ours ? agreedMicros : 0),
      agreedPayable: added(balance.agreedPayable, ours ? 0 : agreedMicros),
    })
  }
  return [...byCurrency.values()].sort((a, b) => (a.currency < b.currency ? -1 : 1))
}

function added(sum: number, more: number): number {
  const total = sum + more
  if (!Number.isSafeInteger(total)) throw new RangeError('a sum of the statement is beyond what a number holds exactly')
  return total
}
