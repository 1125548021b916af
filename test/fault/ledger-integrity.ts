import { play } from './ledger-integrity/scenario.ts'
import { tryAttacks } from './ledger-integrity/try-attacks.ts'

const seeds = 20

export const promise = {
  id: 'ledger-integrity',
  claim:
    'Whatever ends, tears, parts or is restored: each receipt that was acknowledged is once in a claim and once settled, and both owners have the same sums; a ledger with old books stops before it writes into them; an export that was forged, changed, cut, reordered, forked or shown in two ways does not verify.',
  aim: `${seeds} seeds with every fault, 0 receipts lost or counted twice; every attack on exports noticed, and every check that is left out`,
}

export async function run(
  report: (line: string) => void,
  { from = 1, count = seeds }: { from?: number; count?: number } = {},
): Promise<{ figures: string; holds: boolean }> {
  let [receipts, claims, disputed, wrong] = [0, 0, 0, 0]
  for (let seed = from; seed < from + count; seed++) {
    const hasPostgres = seed % 10 === 0
    const { verdict, requests, loadSeconds, healSeconds } = await play(seed, { hasPostgres })
    for (const problem of verdict.problems.slice(0, 20)) report(`seed ${seed}: ${problem}`)
    wrong += verdict.problems.length
    receipts += verdict.receipts
    claims += verdict.claims
    disputed += verdict.disputed
    report(
      `seed ${seed}${hasPostgres ? ' (PostgreSQL)' : ''}: ${requests} requests in ${loadSeconds.toFixed(0)} s, ${verdict.claims} claims, ${verdict.disputed} disputed, healed in ${healSeconds.toFixed(1)} s, ${verdict.problems.length} problems`,
    )
  }
  const { attacks, missed, mutants, survived } = await tryAttacks(report)
  const figures = [
    `n=${count} seeds, ${receipts} receipts in ${claims} claims (${disputed} disputed): ${wrong} problems`,
    `${attacks - missed.length} of ${attacks} attacks on exports noticed`,
    `${mutants - survived.length} of ${mutants} missing checks noticed`,
  ].join('; ')
  return { figures, holds: wrong === 0 && missed.length === 0 && survived.length === 0 }
}
