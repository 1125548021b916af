import { verifyExports } from '@hansa/operator/ledger/verify/verify-export.ts'
import { makeAttacks } from './attacks.ts'
import { mutants, unnoticed, withMutant } from './mutants.ts'

export type Tried = { attacks: number; missed: string[]; mutants: number; survived: string[] }

/** Every attack against the verifier as it is, and against one that lacks a check, which must miss some. */
export async function tryAttacks(report: (line: string) => void): Promise<Tried> {
  const { honest, attacks } = await makeAttacks()
  const [good] = await unnoticed(verifyExports, [{ name: 'honest', files: [honest] }])
  if (good !== 'honest') throw new Error('an honest export does not verify')
  const missed = await unnoticed(verifyExports, attacks)
  for (const name of missed) report(`NOT noticed: ${name}`)
  const survived: string[] = []
  for (const mutant of mutants) {
    await withMutant(mutant, async (verify) => {
      const through = await unnoticed(verify, attacks)
      if (through.length === 0) survived.push(mutant.without)
      report(
        `a verifier without ${mutant.without}: ${through.length === 0 ? 'NOT noticed' : `misses ${through.join(', ')}`}`,
      )
    })
  }
  return { attacks: attacks.length, missed, mutants: mutants.length, survived }
}
