import { z } from 'zod'
import { requestId, sequence } from '../../api/owner-scalars.ts'
import { objectName } from '../../api/scalar.ts'
import type { Bundle } from '../../federation/messages.ts'
import { bundleOfPeer } from '../../federation/peer-bundle.ts'
import { Refusal } from '../../identity/refusal.ts'
import type { LedgerDeps } from '../deps.ts'
import { claimsOf, writeExport } from '../export/write-export.ts'
import { monthRange } from '../month.ts'
import { StatementBuilder, statementRow } from '../statement.ts'
import type { Grant, KeptClaim } from '../store/store.ts'
import { acceptDispute } from './accept-dispute.ts'
import { siemLine } from './siem-line.ts'

export type ReaderDeps = Pick<LedgerDeps, 'store' | 'peers' | 'sign' | 'clock'>

/** An answer: a value as JSON, or lines as they are read. */
export type Reply = { json: unknown } | { lines: AsyncIterable<string> }

const month = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/)
const ofClaim = z.strictObject({
  peer: objectName,
  requestId,
  epoch: z.coerce.number().pipe(sequence),
  number: z.coerce.number().pipe(sequence),
})
const mostDisputes = 500

type Route = (query: Record<string, string>, deps: ReaderDeps, signal: AbortSignal) => Promise<Reply>

/** What auditors may ask, by method and path. */
export const routes: Readonly<Record<string, Route>> = {
  'GET /v1/export': async (query, deps) => {
    const { peer: peerName, month: wanted } = parse(z.strictObject({ peer: objectName, month }), query)
    const { store, clock } = deps
    const known = deps.peers.get(peerName)
    if (known === undefined) throw new Refusal(404, 'PeerNotReady', `there is no Peer ${peerName} that is Verified`)
    const { ownBundle, identity, peer } = known
    const theirs = bundleOfPeer(peer, { now: clock.now(), ignoreExpiry: true })
    if (!theirs.ok) throw new Refusal(409, 'PeerNotReady', `the bundle of Peer ${peerName}: ${theirs.problem.message}`)
    if ((await store.lastCheckpoint(identity)) === undefined) {
      throw new Refusal(409, 'NoCheckpoint', 'the log has no checkpoint yet; it gets one soon after the first claim')
    }
    const request = {
      identity,
      log: clusterOf(ownBundle),
      peerName,
      peer: clusterOf(theirs.bundle),
      month: wanted,
      now: clock.now(),
    }
    return { lines: writeExport(store, request) }
  },
  'GET /v1/statement': async (query, { store }) => {
    const { peer, month: wanted } = parse(z.strictObject({ peer: objectName.optional(), month }), query)
    const range = monthRange(wanted)
    const builder = new StatementBuilder()
    let key = ''
    let grant: Grant | undefined
    for await (const claim of claimsOf(store, { ...range, ...(peer !== undefined && { peer }) })) {
      const next = `${claim.side} ${claim.peer} ${claim.requestId} ${claim.epoch}`
      if (next !== key) [key, grant] = [next, await store.grant(claim)]
      builder.add(statementRow(claim, grant))
    }
    return { json: { month: wanted, ...builder.statement() } }
  },
  'GET /v1/disputes': async (query, { store }) => {
    const { peer } = parse(z.strictObject({ peer: objectName.optional() }), query)
    const filter = { state: 'Disputed', limit: mostDisputes, ...(peer !== undefined && { peer }) } as const
    return { json: { items: (await store.claims(filter)).map(disputeOf) } }
  },
  'POST /v1/disputes/accept': async (query, deps, signal) => {
    return { json: disputeOf(await acceptDispute(deps, parse(ofClaim, query), signal)) }
  },
  'GET /v1/checkpoints': async (_query, { store, peers }) => {
    const items = []
    for (const identity of new Set(peers.list().map((known) => known.identity))) {
      const last = await store.lastCheckpoint(identity)
      if (last === undefined) continue
      const cosigned = await store.cosignatures(identity, last.checkpoint.size)
      items.push({ identity, ...last, cosignedBy: cosigned.map(({ witness }) => witness) })
    }
    return { json: { items } }
  },
  'GET /v1/events': async (query, { store }) => {
    const after = z.coerce.number().pipe(sequence).default(0)
    return { lines: eventLines(store, parse(z.strictObject({ after }), query).after) }
  },
  'POST /v1/erase': async (query, { store, clock }) => {
    const { caller } = parse(z.strictObject({ caller: z.string().min(1).max(512) }), query)
    return { json: { erased: await store.eraseCaller(caller, clock.now()) } }
  },
}

const eventsPage = 500

async function* eventLines(store: ReaderDeps['store'], after: number): AsyncGenerator<string> {
  let last = after
  for (;;) {
    const events = await store.events(last, eventsPage)
    for (const event of events) yield siemLine(event)
    last = events.at(-1)?.sequence ?? last
    if (events.length < eventsPage) return
  }
}

/** A claim with what is wrong with it, as the one side says. */
export type DisputeView = Pick<KeptClaim, 'side' | 'peer' | 'requestId' | 'epoch' | 'number' | 'state'> & {
  from: string
  until: string
  micros: number
  currency: string
  disputes: { reason: string; message: string; leaf?: string | undefined }[]
}

function disputeOf({ side, peer, requestId: id, epoch, number, state, claim, settlement }: KeptClaim): DisputeView {
  const { from, until, micros, price } = claim
  const disputes = settlement?.settlement.disputes ?? []
  return {
    side,
    peer,
    requestId: id,
    epoch,
    number,
    state,
    from,
    until,
    micros,
    currency: price?.currency ?? '',
    disputes,
  }
}

const clusterOf = ({ trustDomain, clusterName }: Bundle) => ({ trustDomain, clusterName })

function parse<T>(schema: z.ZodType<T>, query: Record<string, string>): T {
  const { data, error } = schema.safeParse(query)
  if (error === undefined) return data
  const [issue] = error.issues
  throw new Refusal(400, 'RequestInvalid', `${issue?.path.join('.') ?? 'the query'}: ${issue?.message ?? 'is wrong'}`)
}
