import type { Books, Row } from './books.ts'
import { hexOf, leafOf, type Opened, oneText, openBy, rootAt, rootOf } from './own-proof.ts'

/** One owner as the checker sees it: its name, its public key for receipts, and its books. */
export type CheckedOwner = { name: string; publicKey: string; books: Books }

/** Work of an executor for a requester, and what a checker outside knows of it. */
export type CheckedGrant = {
  requestId: string
  epoch: number
  executor: string
  requester: string
  gpuSeconds: number
  price: { currency: string; microsPerGPUHour: number }
}

export type Expected = {
  grants: readonly CheckedGrant[]
  /** Receipts whose trailer may have gone out; those of a torn file are left out. */
  acknowledged: ReadonlyMap<string, object>
  given: ReadonlyMap<string, object>
  /** Receipts which a requester may rightly dispute, since what its gateway had written is gone. */
  disputable: ReadonlySet<string>
}

export type Verdict = { problems: string[]; claims: number; receipts: number; disputed: number; micros: number }

type Sums = Record<string, number>
type Claim = {
  number: number
  previous?: string
  root: string
  count: number
  units: Sums
  micros: number
  price?: object
  requestId: string
  epoch: number
}

/** Compares the books of two owners with what was acknowledged, and with each other, without the ledger's code. */
export function check(owners: readonly CheckedOwner[], expected: Expected): Verdict {
  const verdict: Verdict = { problems: [], claims: 0, receipts: 0, disputed: 0, micros: 0 }
  const by = (name: string) => {
    const found = owners.find((owner) => owner.name === name)
    if (found === undefined) throw new Error(`no owner ${name}`)
    return found
  }
  for (const grant of expected.grants) {
    checkGrant(grant, { executor: by(grant.executor), requester: by(grant.requester), expected, verdict })
  }
  for (const owner of owners) {
    const [other] = owners.filter(({ name }) => name !== owner.name)
    if (other !== undefined) checkLog(owner, other, verdict.problems)
  }
  return verdict
}

type Context = { executor: CheckedOwner; requester: CheckedOwner; expected: Expected; verdict: Verdict }

function checkGrant(grant: CheckedGrant, { executor, requester, expected, verdict }: Context): void {
  const bad = (problem: string) => verdict.problems.push(`${grant.executor} for ${grant.requester}: ${problem}`)
  const isOfIt = (side: string) => (row: Row) =>
    row.side === side && row.request_id === grant.requestId && row.epoch === grant.epoch
  const made = executor.books.claims.filter(isOfIt('Executor'))
  const heard = requester.books.claims.filter(isOfIt('Requester'))
  const held = {
    executor: ofClaims(executor.books.receipts.filter(isOfIt('Executor'))),
    requester: ofClaims(requester.books.receipts.filter(isOfIt('Requester'))),
  }
  const counted = new Map<string, number>()
  const sums = { reserved: 0, micros: 0 }
  let previous: string | undefined
  for (const [index, row] of made.entries()) {
    const opened = openBy(executor.publicKey, String(row.envelope))
    const claim = opened?.payload as Claim | undefined // its form is what is checked below
    if (opened === undefined || claim === undefined) {
      bad(`claim ${row.number} is not signed by the executor`)
      continue
    }
    const name = `claim ${claim.number}`
    if (claim.number !== index + 1 || claim.previous !== previous) bad(`${name}: the chain is broken`)
    previous = opened.sha256
    const receipts = held.executor.get(claim.number) ?? []
    for (const problem of wrongClaim(claim, receipts, grant)) bad(`${name}: ${problem}`)
    for (const { id } of receipts) counted.set(String(id), (counted.get(String(id)) ?? 0) + 1)
    sums.reserved += claim.units.reservedGPUSeconds ?? 0
    sums.micros += claim.micros
    const other = heard[index]
    if (other?.envelope !== row.envelope) bad(`${name}: the requester has another one, or none`)
    const ids = receipts.map(({ id }) => String(id))
    const theirs = (held.requester.get(claim.number) ?? []).map(({ id }) => String(id))
    if (oneText([...ids].sort()) !== oneText([...theirs].sort())) bad(`${name}: the requester settled other receipts`)
    const state = checkSettlement(row, other, { opened, requester, bad, name })
    if (state === 'Disputed') {
      verdict.disputed += 1
      if (!ids.some((id) => expected.disputable.has(id))) bad(`${name} is disputed, and nothing was wrong with it`)
    }
  }
  if (heard.length !== made.length) bad(`the requester has ${heard.length} claims of ${made.length}`)
  for (const [id, times] of counted) {
    if (times > 1) bad(`receipt ${id} is in ${times} claims`)
    if (!expected.given.has(id)) bad(`receipt ${id} was never given to a book`)
  }
  for (const [id, receipt] of expected.acknowledged) {
    if ((receipt as { requestId: string }).requestId !== grant.requestId) continue
    if (!counted.has(id)) bad(`receipt ${id} was acknowledged, and is in no claim`)
  }
  if (sums.reserved !== grant.gpuSeconds)
    bad(`${sums.reserved} GPU seconds are claimed, ${grant.gpuSeconds} were reserved`)
  const bodies = [...held.executor.values()].flat()
  for (const row of bodies) {
    const receipt = expected.given.get(String(row.id))
    if (receipt !== undefined && row.body !== oneText(receipt))
      bad(`receipt ${row.id} has other bytes than were served`)
  }
  verdict.claims += made.length
  verdict.receipts += counted.size
  verdict.micros += sums.micros
}

function ofClaims(rows: readonly Row[]): Map<number, Row[]> {
  const found = new Map<number, Row[]>()
  for (const row of rows) {
    if (row.claim === null) continue
    const list = found.get(Number(row.claim)) ?? []
    list.push(row)
    found.set(Number(row.claim), list)
  }
  return found
}

function wrongClaim(claim: Claim, rows: readonly Row[], grant: CheckedGrant): string[] {
  const wrong: string[] = []
  if (claim.requestId !== grant.requestId || claim.epoch !== grant.epoch) wrong.push('it is of another grant')
  if (oneText(claim.price) !== oneText(grant.price)) wrong.push('its price is not the one that was granted')
  const hashes = rows.map(({ body }) => leafOf(String(body)))
  if (rows.some(({ leaf }, index) => hashes[index]?.toString('hex') !== leaf)) wrong.push('a leaf hash is wrong')
  hashes.sort(Buffer.compare)
  if (rootOf(hashes).toString('hex') !== claim.root) wrong.push('its root is not that of its receipts')
  if (rows.length !== claim.count || rows.length !== claim.units.requests) wrong.push('its count is wrong')
  const receipts = rows.map(({ body }): Sums => JSON.parse(String(body)))
  for (const unit of ['inputTokens', 'outputTokens', 'requestBytes', 'responseBytes', 'busyGPUMilliseconds']) {
    const sum = receipts.reduce((total, receipt) => total + (receipt[unit] ?? 0), 0)
    if (sum !== claim.units[unit]) wrong.push(`${unit} is ${claim.units[unit]}, the receipts make ${sum}`)
  }
  const reserved = BigInt(claim.units.reservedGPUSeconds ?? 0)
  const micros = (reserved * BigInt(grant.price.microsPerGPUHour)) / 3600n
  if (BigInt(claim.micros) !== micros) wrong.push(`it costs ${claim.micros}, its GPU seconds make ${micros}`)
  return wrong
}

type Settling = { opened: Opened; requester: CheckedOwner; bad: (problem: string) => void; name: string }

/** What was said to a claim: the same on both sides, by the requester's key, about that claim. */
function checkSettlement(row: Row, other: Row | undefined, { opened, requester, bad, name }: Settling): unknown {
  if (typeof row.settlement !== 'string' || row.settlement !== other?.settlement) {
    bad(`${name}: its settlement is missing, or another one on the other side`)
    return undefined
  }
  const settlement = openBy(requester.publicKey, row.settlement)
  if (settlement === undefined) bad(`${name}: its settlement is not signed by the requester`)
  if (settlement?.payload.claimSha256 !== opened.sha256) bad(`${name}: its settlement is about another claim`)
  return settlement?.payload.state
}

/** One log: its entries make the roots of all its checkpoints, the other has cosigned the newest, and what is in the books is in it once. */
function checkLog({ name, publicKey, books }: CheckedOwner, other: CheckedOwner, problems: string[]): void {
  const bad = (problem: string) => problems.push(`log of ${name}: ${problem}`)
  const envelopes = books.entries.map(({ envelope }) => String(envelope))
  if (books.entries.some(({ position }, index) => position !== index)) bad('positions are missing or repeated')
  const hashes = envelopes.map((envelope) => leafOf(envelope))
  if (new Set(envelopes).size !== envelopes.length) bad('an envelope is in it twice')
  const all = new Set(envelopes)
  const kept = [...books.claims, ...books.settlements].map(({ envelope }) => String(envelope))
  if (kept.some((envelope) => !all.has(envelope))) bad('a claim or settlement of the books is not in it')
  if (kept.length !== envelopes.length)
    bad(`it has ${envelopes.length} entries for ${kept.length} claims and settlements`)
  const roots = new Map<number, string>()
  for (const row of books.checkpoints) {
    const opened = openBy(publicKey, String(row.envelope))
    const size = Number(row.size)
    const root = rootAt(hashes, size)
    roots.set(size, root)
    if (opened?.payload.size !== size || opened.payload.root !== root) bad(`checkpoint ${size} is not of these entries`)
  }
  const newest = envelopes.length
  if (newest === 0) return
  if (!roots.has(newest)) bad(`there is no checkpoint of all ${newest} entries`)
  const cosigned = books.cosignatures.filter(({ size }) => size === newest)
  const isGood = cosigned.some(({ envelope }) => {
    const payload = openBy(other.publicKey, String(envelope))?.payload
    return payload?.size === newest && payload.root === roots.get(newest)
  })
  if (!isGood) bad('the peer has not cosigned its newest checkpoint')
  for (const { size, root } of other.books.witnessed) {
    if (roots.get(Number(size)) !== root) bad(`its witness saw another log of ${size} entries`)
  }
}

/** One number for the whole of some books, to see whether anything was written. */
export const fingerprint = (books: Books) =>
  hexOf(oneText([books.claims, books.entries, books.settlements, books.receipts]))
