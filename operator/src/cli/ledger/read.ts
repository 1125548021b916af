import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { KubeClient } from '../../kube/client-types.ts'
import type { DisputeView } from '../../ledger/reader/routes.ts'
import type { Statement } from '../../ledger/statement.ts'
import { statementCsv } from '../../ledger/statement-csv.ts'
import { CliError, usageError } from '../cli-error.ts'
import { exitCodes } from '../exit-code.ts'
import { type Io, plain } from '../io.ts'
import { moneyText } from '../money.ts'
import { columns, type Format, printObject } from '../output.ts'
import { askLedger, askLedgerJson, type LedgerAt } from './ask-ledger.ts'

type Deps = { client: KubeClient; io: Io; signal: AbortSignal }

const isMonth = (text: string | undefined) => text !== undefined && /^\d{4}-(0[1-9]|1[0-2])$/.test(text)

export type ExportOptions = LedgerAt & {
  peer?: string
  month?: string
  format: 'jsonl' | 'siem'
  after?: string
  output: string
}

/** `ledger export`: into a file that appears when it is whole, or to standard output with `-`. */
export async function exportLedger(options: ExportOptions, { client, io, signal }: Deps): Promise<void> {
  const { peer, month, format, after, output } = options
  if (format === 'jsonl' && (peer === undefined || !isMonth(month))) {
    throw usageError('an export needs --peer and --month', 'Such as --peer university --month 2026-11')
  }
  const call =
    format === 'siem'
      ? ({ method: 'GET', path: '/v1/events', query: { after } } as const)
      : ({ method: 'GET', path: '/v1/export', query: { peer, month } } as const)
  const body = await askLedger(client, options, call, signal)
  if (output === '-') {
    const decoder = new TextDecoder()
    for await (const chunk of body) io.out(decoder.decode(chunk, { stream: true }))
    return
  }
  const part = `${output}.part`
  try {
    await pipeline(Readable.from(body), createWriteStream(part, { mode: 0o600 }), { signal })
    await rename(part, output)
  } catch (cause) {
    await rm(part, { force: true })
    if (signal.aborted) throw cause
    throw new CliError(exitCodes.cluster, `the export broke off; ${plain(output)} was not written`, 'Try again.', cause)
  }
  io.err(`Written to ${output}.${format === 'jsonl' ? ` Check it: kubectl hansa ledger verify ${output}` : ''}\n`)
}

type StatementFormat = Format | 'csv'

/** `ledger statement`: what was given and taken in a month. */
export async function statement(
  options: LedgerAt & { peer?: string; month: string; output: StatementFormat },
  { client, io, signal }: Deps,
): Promise<void> {
  const { peer, month, output } = options
  if (!isMonth(month))
    throw usageError(`--month ${plain(month)} is no month`, 'Such as 2026-11; months are those of UTC.')
  const call = { method: 'GET', path: '/v1/statement', query: { peer, month } } as const
  const found = await askLedgerJson<Statement & { month: string }>(client, options, call, signal)
  if (output === 'csv') io.out(statementCsv(found))
  else if (output !== 'table') await printObject(io, output, found)
  else printStatement(found, io)
}

function printStatement({ lines, balances, money }: Statement, io: Io): void {
  if (lines.length === 0) {
    io.err('Nothing was claimed in that month.\n')
    return
  }
  const head = [
    'PEER',
    'WE',
    'SERVICE',
    'COST CENTRE',
    'REQUESTS',
    'TOKENS IN',
    'TOKENS OUT',
    'BYTES',
    'GPU SECONDS',
    'BUSY',
    'IDLE',
    'PREEMPTED',
  ]
  const rows = lines.map((line) => [
    line.peer,
    line.side === 'Executor' ? 'gave' : 'took',
    `${line.namespace}/${line.service}`,
    line.costCentre,
    ...[line.requests, line.inputTokens, line.outputTokens, line.requestBytes + line.responseBytes].map(String),
    ...[line.reservedGPUSeconds, line.busyGPUMilliseconds / 1000, line.idleGPUMilliseconds / 1000].map(String),
    String(line.preemptedGPUSeconds),
    ...[line.micros, line.agreedMicros, line.disputedMicros].map((micros) =>
      line.currency === '' ? '' : moneyText(micros, line.currency),
    ),
  ])
  io.out(columns([...head, 'COST', 'AGREED', 'DISPUTED'], rows))
  io.out('\n')
  const barter = balances.map(({ peer, givenGPUSeconds, takenGPUSeconds, barterGPUSeconds }) => [
    peer,
    ...[givenGPUSeconds, takenGPUSeconds, barterGPUSeconds].map(String),
  ])
  io.out(columns(['PEER', 'GPU SECONDS GIVEN', 'TAKEN', 'BALANCE'], barter))
  for (const { currency, receivable, payable, agreedReceivable, agreedPayable } of money) {
    const [toUs, agreedToUs, byUs, agreedByUs] = [receivable, agreedReceivable, payable, agreedPayable].map((micros) =>
      moneyText(micros, currency),
    )
    io.out(`\nOwed to us ${toUs} (agreed ${agreedToUs}); owed by us ${byUs} (agreed ${agreedByUs})`)
  }
  io.out('\n')
}

/** `ledger dispute list`. */
export async function listDisputes(
  options: LedgerAt & { peer?: string; output: Format },
  { client, io, signal }: Deps,
): Promise<void> {
  const call = { method: 'GET', path: '/v1/disputes', query: { peer: options.peer } } as const
  const { items } = await askLedgerJson<{ items: DisputeView[] }>(client, options, call, signal)
  if (options.output !== 'table') {
    await printObject(io, options.output, { items })
    return
  }
  if (items.length === 0) {
    io.err('No claim is disputed.\n')
    return
  }
  const rows = items.map((each) => [
    nameOf(each),
    each.peer,
    each.side === 'Executor' ? 'the peer' : 'us',
    each.until,
    each.currency === '' ? '' : moneyText(each.micros, each.currency),
    [...new Set(each.disputes.map(({ reason }) => reason))].join(','),
  ])
  io.out(columns(['CLAIM', 'PEER', 'DISPUTED BY', 'UNTIL', 'COST', 'WHY'], rows))
}

/** `ledger dispute show CLAIM`. */
export async function showDispute(
  name: string,
  options: LedgerAt & { peer?: string; output: Format },
  { client, io, signal }: Deps,
): Promise<void> {
  const call = { method: 'GET', path: '/v1/disputes', query: { peer: options.peer } } as const
  const { items } = await askLedgerJson<{ items: DisputeView[] }>(client, options, call, signal)
  const found = items.find((each) => nameOf(each) === name)
  if (found === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `no claim ${plain(name)} is disputed`,
      'See kubectl hansa ledger dispute list',
    )
  }
  if (options.output !== 'table') {
    await printObject(io, options.output, found)
    return
  }
  io.out(`Claim ${nameOf(found)} with Peer ${found.peer}, ${found.from} to ${found.until}\n`)
  io.out(
    columns(
      ['REASON', 'WHAT', 'RECEIPT'],
      found.disputes.map(({ reason, message, leaf }) => [reason, message, leaf ?? '']),
    ),
  )
}

/** `ledger dispute withdraw CLAIM`: the claim is agreed after all; that cannot be taken back. */
export async function withdrawDispute(
  name: string,
  options: LedgerAt & { peer: string; yes: boolean },
  { client, io, signal }: Deps,
): Promise<void> {
  const [, requestId, epoch, number] = /^([0-9a-f-]{36})\/(\d{1,16})\/(\d{1,16})$/.exec(name) ?? []
  if (requestId === undefined) throw usageError(`${plain(name)} is no claim`, 'See kubectl hansa ledger dispute list')
  if (!options.yes) {
    throw usageError(
      'what is agreed stays agreed, and may cost money',
      'Add --yes once you have seen it: kubectl hansa ledger dispute show',
    )
  }
  const query = { peer: options.peer, requestId, epoch, number }
  await askLedgerJson(client, options, { method: 'POST', path: '/v1/disputes/accept', query }, signal)
  io.err(`Claim ${name} is agreed; Peer ${options.peer} is told when it asks the next time.\n`)
}

/** `ledger erase --caller NAME`. */
export async function eraseCaller(options: LedgerAt & { caller: string }, { client, io, signal }: Deps): Promise<void> {
  const call = { method: 'POST', path: '/v1/erase', query: { caller: options.caller } } as const
  const { erased } = await askLedgerJson<{ erased: number }>(client, options, call, signal)
  io.out(`Erased the name and the salts of ${erased} receipts.\n`)
}

const nameOf = ({ requestId, epoch, number }: DisputeView) => `${requestId}/${epoch}/${number}`
