import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { linesOf } from '../../ledger/verify/file-lines.ts'
import type { VerifyReport } from '../../ledger/verify/report.ts'
import { verifyExports } from '../../ledger/verify/verify-export.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { type Io, plain } from '../io.ts'
import { moneyText } from '../money.ts'
import { columns, type Format, printObject } from '../output.ts'

/** `ledger verify`: true when nothing is wrong with the files. Needs no cluster. */
export async function verifyFiles(
  paths: readonly string[],
  options: { rootKey: readonly string[]; output: Format },
  io: Io,
): Promise<boolean> {
  for (const expected of options.rootKey) {
    if (!/^[a-z2-7]{52}$/.test(expected)) {
      throw usageError(
        `--root-key ${plain(expected)} is no trust domain`,
        'It is the hash of the first root key: 52 letters and digits.',
      )
    }
  }
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile() !== true) throw new CliError(exitCodes.notFound, `there is no file ${plain(path)}`)
  }
  const files = paths.map((path) => ({ name: path, lines: linesOf(createReadStream(path)) }))
  const report = await verifyExports(files, { trustDomains: options.rootKey })
  const isGood = report.findings.length === 0
  if (options.output === 'table') print(report, options.rootKey.length > 0, io)
  else await printObject(io, options.output, { verified: isGood, ...report })
  return isGood
}

function print(report: VerifyReport, isPinned: boolean, io: Io): void {
  for (const { file, line, problem } of report.findings) io.out(`${plain(file)}:${line}: ${plain(problem)}\n`)
  if (report.findings.length > 0) {
    io.out(`${report.findings.length}${report.hasMore ? ' or more' : ''} problems: NOT verified\n`)
    return
  }
  const head = [
    'EXECUTOR',
    'REQUESTER',
    'CLAIMS',
    'AGREED',
    'DISPUTED',
    'REQUESTS',
    'GPU SECONDS',
    'COST',
    'AGREED COST',
  ]
  const rows = report.sums.map((sum) => [
    short(sum.executor),
    short(sum.requester),
    ...[sum.claims, sum.agreed, sum.disputed, sum.requests, sum.reservedGPUSeconds].map(String),
    ...[sum.micros, sum.agreedMicros].map((micros) => (sum.currency === '' ? '' : moneyText(micros, sum.currency))),
  ])
  io.out(columns(head, rows))
  for (const { log, size, cosignedBy } of report.checkpoints) {
    io.out(`Log of ${short(log)}: ${size} entries, cosigned by ${cosignedBy.map(short).join(', ') || 'nobody'}\n`)
  }
  if (report.prunedReceipts > 0) {
    io.out(
      `Note: the bytes of ${report.prunedReceipts} receipts were pruned; the sums of their claims were not checked.\n`,
    )
  }
  for (const note of report.notes) io.out(`Note: ${plain(note)}.\n`)
  io.out('Verified. All rests on these trust domains')
  io.out(isPinned ? ':\n' : '; compare them with what the owners say themselves (--root-key):\n')
  for (const each of report.trustDomains) io.out(`  ${each}\n`)
}

/** `TRUSTDOMAIN/CLUSTER` as people read it. */
const short = (cluster: string) => cluster.replace(/^([a-z2-7]{8})[a-z2-7]+/, '$1…')
