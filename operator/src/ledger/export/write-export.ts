import { createHash } from 'node:crypto'
import { canonicalJson } from '../../federation/canonical-json.ts'
import { dateTimeOf } from '../../federation/date-time.ts'
import { HansaError } from '../../process/errors.ts'
import { monthRange } from '../month.ts'
import { leafHash, receiptBytes } from '../receipt.ts'
import type { KeptClaim, LedgerStore } from '../store/store.ts'
import type { ExportLine } from './export-line.ts'

type Cluster = { trustDomain: string; clusterName: string }

export type ExportRequest = {
  identity: string
  /** Our cluster, whose log it is. */
  log: Cluster
  peerName: string
  peer: Cluster
  month: string
  now: number
}

const page = 200
const receiptsPage = 1000

/**
 * The lines of an export, read in pages. Everything in it is proven against the newest checkpoint of the log, so what is newer is left
 * out, and comes with the next export.
 */
export async function* writeExport(store: LedgerStore, request: ExportRequest): AsyncGenerator<string> {
  const hash = createHash('sha256')
  let lines = 0
  const put = (line: ExportLine): string => {
    const text = `${canonicalJson(line)}\n`
    hash.update(text)
    lines += 1
    return text
  }
  for await (const line of linesOf(store, request)) yield put(line)
  yield `${canonicalJson({ type: 'end', lines, sha256: hash.digest('hex') } satisfies ExportLine)}\n`
}

async function* linesOf(store: LedgerStore, request: ExportRequest): AsyncGenerator<ExportLine> {
  const { identity, log, peer, peerName, month, now } = request
  const range = monthRange(month)
  if (range === undefined) throw new RangeError('the month must be written like 2026-11')
  yield { type: 'head', version: 1, log, peer, month, made: dateTimeOf(now) }
  const last = await store.lastCheckpoint(identity)
  if (last === undefined) {
    throw new HansaError('NoCheckpoint', `the log of Identity ${identity} has no checkpoint yet`, {
      hint: 'The ledger makes one each minute in which something was claimed; try again then.',
    })
  }
  const { size } = last.checkpoint
  const clusters = new Map([log, peer].map((each) => [nameOf(each), each]))
  const checkpoints = await checkpointLines(store, identity, range, clusters)
  for (const { trustDomain, clusterName } of clusters.values()) {
    for (const envelope of await store.bundles(trustDomain, clusterName)) yield { type: 'bundle', envelope }
  }
  yield* checkpoints
  for await (const claim of claimsOf(store, { identity, peer: peerName, ...range })) {
    yield* claimLines(store, identity, claim, size)
  }
}

/** Each day's last checkpoint of the month, and the newest one, which all proofs are about. */
async function checkpointLines(
  store: LedgerStore,
  identity: string,
  range: { from: number; until: number },
  clusters: Map<string, Cluster>,
): Promise<ExportLine[]> {
  const chosen = new Map<string, { size: number; envelope: string }>()
  const last = await store.lastCheckpoint(identity)
  let after = -1
  for (;;) {
    const some = await store.checkpoints(identity, after, page)
    for (const { checkpoint, envelope } of some) {
      const at = Date.parse(checkpoint.issued)
      const isLast = checkpoint.size === last?.checkpoint.size
      if (isLast || (at >= range.from && at < range.until)) {
        chosen.set(isLast ? 'last' : checkpoint.issued.slice(0, 10), { size: checkpoint.size, envelope })
      }
      after = checkpoint.size
    }
    if (some.length < page) break
  }
  const lines: ExportLine[] = []
  let before = 0
  for (const { size, envelope } of [...chosen.values()].sort((a, b) => a.size - b.size)) {
    const proof = before === 0 ? [] : await store.consistencyProof(identity, before, size)
    lines.push({ type: 'checkpoint', envelope, proof })
    before = size
    for (const { cosignature, envelope: cosigned } of await store.cosignatures(identity, size)) {
      lines.push({ type: 'cosignature', envelope: cosigned })
      clusters.set(nameOf(cosignature.issuer), cosignature.issuer)
    }
  }
  return lines
}

async function* claimLines(
  store: LedgerStore,
  identity: string,
  claim: KeptClaim,
  size: number,
): AsyncGenerator<ExportLine> {
  const placed = async (envelope: string) => {
    const index = await store.indexOf(identity, leafHash(Buffer.from(envelope)))
    if (index === undefined || index >= size) return undefined
    return { envelope, index, proof: await store.inclusionProof(identity, index, size) }
  }
  const place = await placed(claim.envelope)
  if (place === undefined) return
  yield { type: 'claim', ...place }
  let after: string | undefined
  for (;;) {
    const leaves = await store.receiptsOfClaim(claim, claim.number, after, receiptsPage)
    for (const { leaf, receipt } of leaves) {
      yield receipt === undefined
        ? { type: 'leaf', hash: leaf }
        : { type: 'receipt', body: receiptBytes(receipt).toString() }
    }
    after = leaves.at(-1)?.leaf
    if (leaves.length < receiptsPage) break
  }
  for (const { envelope } of await store.settlements(claim, claim.number)) {
    const settled = await placed(envelope)
    if (settled !== undefined) yield { type: 'settlement', ...settled }
  }
}

/** All claims of a filter, page by page. */
export async function* claimsOf(
  store: LedgerStore,
  filter: { identity?: string; peer?: string; from?: number; until?: number; state?: KeptClaim['state'] },
): AsyncGenerator<KeptClaim> {
  let after: KeptClaim | undefined
  for (;;) {
    const claims = await store.claims({ ...filter, ...(after !== undefined && { after }), limit: page })
    yield* claims
    after = claims.at(-1)
    if (claims.length < page) return
  }
}

const nameOf = ({ trustDomain, clusterName }: Cluster) => `${trustDomain}/${clusterName}`
