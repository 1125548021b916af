import { createHash } from 'node:crypto'
import { parseCanonicalJson } from '../../federation/canonical-json.ts'
import { type ExportLine, exportLineSchema } from '../export/export-line.ts'
import { AcrossFiles } from './across-files.ts'
import { KeysInTime, nameOf } from './keys-in-time.ts'
import { Findings, type VerifyReport } from './report.ts'
import { ClaimsVerifier } from './verify-claims.ts'
import { LogVerifier } from './verify-log.ts'

/** `lines`: each without its line feed; `undefined` instead of one that is longer than allowed or not ended by a line feed. */
export type ExportFile = { name: string; lines: AsyncIterable<Uint8Array | undefined> }

/**
 * Checks exports of ledgers, believing neither of the two owners: all keys come from root-signed bundles whose first root key has the trust
 * domain as its hash. `trustDomains`: those that must be in it, as the owners told them.
 */
export async function verifyExports(
  files: readonly ExportFile[],
  options: { trustDomains?: readonly string[] } = {},
): Promise<VerifyReport> {
  const across = new AcrossFiles()
  const findings = new Findings()
  const report: VerifyReport = {
    findings: findings.kept,
    hasMore: false,
    trustDomains: [],
    checkpoints: [],
    sums: [],
    prunedReceipts: 0,
    notes: [],
  }
  for (const { name, lines } of files) {
    const verifier = new FileVerifier(name, { across, findings, report })
    let number = 0
    for await (const line of lines) {
      number += 1
      verifier.take(line, number)
    }
    verifier.finish(number)
  }
  for (const each of across.missing()) findings.add({ ...each, line: 0 })
  report.hasMore = findings.hasMore
  for (const expected of options.trustDomains ?? []) {
    if (report.trustDomains.includes(expected)) continue
    findings.add({ file: files[0]?.name ?? '', line: 0, problem: `the trust domain ${expected} is neither of the two` })
  }
  return report
}

type Shared = { across: AcrossFiles; findings: Findings; report: VerifyReport }
type Head = Extract<ExportLine, { type: 'head' }>

/** Places of the kinds of lines: each may follow itself and those before it, claims with all that is theirs. */
const places: Record<ExportLine['type'], number> = {
  head: 0,
  bundle: 1,
  checkpoint: 2,
  cosignature: 2,
  claim: 3,
  receipt: 3,
  leaf: 3,
  settlement: 3,
  end: 4,
}

class FileVerifier {
  readonly #file: string
  readonly #shared: Shared
  readonly #keys = new KeysInTime()
  readonly #hash = createHash('sha256')
  #parts: { head: Head; log: LogVerifier; claims: ClaimsVerifier } | undefined
  #place = 0
  #lines = 0

  constructor(file: string, shared: Shared) {
    this.#file = file
    this.#shared = shared
  }

  take(bytes: Uint8Array | undefined, number: number): void {
    const add = (problem: string) => this.#shared.findings.add({ file: this.#file, line: number, problem })
    if (bytes === undefined) {
      add('the line is too long, or the file breaks off in it')
      return
    }
    const { data: line } = exportLineSchema.safeParse(parseCanonicalJson(bytes)?.value)
    if (line?.type === 'end') {
      this.#end(line, add)
      return
    }
    this.#hash.update(bytes).update('\n')
    this.#lines += 1
    if (this.#place === places.end) add('something follows the end of the file')
    if (line === undefined) {
      add('the line is not one of an export, or not canonical JSON')
      return
    }
    if (places[line.type] < this.#place) add(`a ${line.type} stands where none may be: the file was reordered`)
    this.#place = Math.max(this.#place, places[line.type])
    for (const problem of this.#check(line)) add(problem)
  }

  finish(lastLine: number): void {
    const { findings, report } = this.#shared
    if (this.#place !== places.end) {
      findings.add({ file: this.#file, line: lastLine, problem: 'the file has no end: it was truncated' })
    }
    const parts = this.#parts
    if (parts === undefined) return
    const { head, log, claims } = parts
    report.trustDomains = [...new Set([...report.trustDomains, head.log.trustDomain, head.peer.trustDomain])]
    if (log.last !== undefined) {
      const { size, root } = log.last
      report.checkpoints.push({ log: nameOf(head.log), size, root, cosignedBy: log.cosignedBy })
      if (log.cosignedBy.length === 0) {
        report.notes.push(`no witness has cosigned the newest checkpoint in ${this.#file}: a split view would not show`)
      }
    }
    report.sums.push(...claims.sums.values())
    this.#shared.across.add({
      ...{ file: this.#file, month: head.month, claims: claims.claims },
      ...{ log: nameOf(head.log), peer: nameOf(head.peer) },
    })
    report.prunedReceipts += claims.prunedReceipts
  }

  #check(line: ExportLine): string[] {
    if (line.type === 'head') return this.#head(line)
    const parts = this.#parts
    if (parts === undefined) return ['the file does not begin with its head']
    const { log, claims } = parts
    switch (line.type) {
      case 'bundle': {
        const problem = this.#keys.add(line.envelope)
        return problem === undefined ? [] : [problem]
      }
      case 'checkpoint':
        return log.checkpoint(line.envelope, line.proof)
      case 'cosignature':
        return log.cosignature(line.envelope)
      case 'claim':
        return [...claims.claim(line.envelope, line.index), ...log.entry('the claim', line)]
      case 'settlement':
        return [...claims.settlement(line.envelope, line.index), ...log.entry('the settlement', line)]
      case 'receipt':
      case 'leaf':
        return claims.receipt(line)
      case 'end':
        return []
      default:
        return line satisfies never
    }
  }

  #head(head: Head): string[] {
    if (this.#parts !== undefined) return ['a second head: two files were put together']
    const { across, report } = this.#shared
    const shared = { keys: this.#keys, across, file: this.#file }
    const note = (text: string) => void report.notes.push(text)
    this.#parts = {
      head,
      log: new LogVerifier({ ...shared, log: head.log }),
      claims: new ClaimsVerifier({ ...shared, parties: [head.log, head.peer], month: head.month, note }),
    }
    return nameOf(head.log) === nameOf(head.peer) ? ['both owners are the same'] : []
  }

  #end(line: Extract<ExportLine, { type: 'end' }>, add: (problem: string) => void): void {
    if (this.#place === places.end) add('a second end')
    this.#place = places.end
    if (line.lines !== this.#lines || line.sha256 !== this.#hash.copy().digest('hex')) {
      add('the file is not the one that was written: bytes or lines were changed, added or left out')
    }
    for (const problem of this.#parts?.claims.finish() ?? []) add(problem)
    if (this.#parts === undefined) add('the file does not begin with its head')
    else if (this.#parts.log.last === undefined) add('the file has no checkpoint')
  }
}
