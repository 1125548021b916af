import type { ContractCase } from './case.ts'
import { contractCases } from './cases.ts'
import { runCase } from './run-case.ts'
import { startStage } from './stage.ts'

export type ContractResult = {
  readonly cases: number
  /** Cases by protocol, such as `{ REST: 300 }`. */
  readonly byProtocol: Readonly<Record<string, number>>
  /** Cases run against each target; equal to `cases` for all, or something was left out. */
  readonly ran: Readonly<Record<string, number>>
  /** A line for each case that was not answered as the specification says. */
  readonly failures: readonly string[]
}

/** Runs every case against a worker and against a gateway in front of it, service by service. */
export async function runContract(
  report: (line: string) => void,
  cases: readonly ContractCase[] = contractCases,
): Promise<ContractResult> {
  const failures: string[] = []
  const ran: Record<string, number> = { worker: 0, gateway: 0 }
  const told = new Map<string, { id: string; words: string }>()
  const stage = await startStage()
  try {
    for (const [service, rows] of Map.groupBy(cases, (row) => row.service)) {
      await stage.withService(service, async (targets) => {
        for (const target of targets) {
          const before = failures.length
          for (const row of rows) {
            const { wrong, words } = await runCase(row, target)
            ran[target.name] = (ran[target.name] ?? 0) + 1
            if (wrong !== undefined) failures.push(`${target.name}, ${row.id}: ${wrong}`)
            else compareWords(row, target.name, words)
          }
          report(`${service} at the ${target.name}: ${rows.length} cases, ${failures.length - before} wrong`)
        }
      })
    }
  } finally {
    await stage.close()
  }
  return { cases: cases.length, byProtocol: countBy(cases), ran, failures }

  /** A refusal has the same words in every protocol and on every way. */
  function compareWords(row: ContractCase, target: string, words: string | undefined): void {
    if (row.protocol === 'stream' || row.expect.words === undefined || words === undefined) return
    const before = told.get(row.expect.words)
    if (before === undefined) told.set(row.expect.words, { id: `${target}, ${row.id}`, words })
    else if (before.words !== words) {
      failures.push(
        `${target}, ${row.id}: is told ${JSON.stringify(words)}, but ${before.id}: ${JSON.stringify(before.words)}`,
      )
    }
  }
}

function countBy(cases: readonly ContractCase[]): Record<string, number> {
  const groups = Map.groupBy(cases, (row) => row.protocol)
  return Object.fromEntries([...groups].map(([protocol, rows]) => [protocol, rows.length]))
}
