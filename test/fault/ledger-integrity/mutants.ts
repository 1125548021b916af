import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { verifyExports } from '@hansa/operator/ledger/verify/verify-export.ts'
import type { Attack } from './attacks.ts'

/** A check that is taken out of the code: in which file, which text is replaced by which. */
type Mutant = { without: string; file: string; from: string; to: string }

export const mutants: readonly Mutant[] = [
  { without: 'places in the log', file: 'verify-log.ts', from: 'return isIncluded(', to: 'return true || isIncluded(' },
  {
    without: 'the way between checkpoints',
    file: 'verify-log.ts',
    from: '} else if (!isConsistent({',
    to: '} else if (false && !isConsistent({',
  },
  {
    without: 'keys of settlements',
    file: 'verify-claims.ts',
    from: 'add(this.#deps.keys.problem(settlement.issuer',
    to: 'void (this.#deps.keys.problem(settlement.issuer',
  },
  { without: 'sums', file: 'claim-receipts.ts', from: 'if (units[name] !== this.#sums[name])', to: 'if (false)' },
  { without: 'cost', file: 'claim-receipts.ts', from: 'if (BigInt(micros) !== cost)', to: 'if (false)' },
  {
    without: 'prices of receipts',
    file: 'claim-receipts.ts',
    from: 'said?.currency !== claimed?.currency || said?.microsPerGPUHour !== claimed?.microsPerGPUHour',
    to: 'false',
  },
  { without: 'the end', file: 'verify-export.ts', from: 'if (this.#place !== places.end) {', to: 'if (false) {' },
  {
    without: 'the hash of the file',
    file: 'verify-export.ts',
    from: "line.lines !== this.#lines || line.sha256 !== this.#hash.copy().digest('hex')",
    to: 'false',
  },
  {
    without: 'the order of lines',
    file: 'verify-export.ts',
    from: 'if (places[line.type] < this.#place)',
    to: 'if (false)',
  },
  {
    without: 'comparing files',
    file: 'across-files.ts',
    from: 'return before.what === what ?',
    to: 'return true || before.what === what ?',
  },
]

export type Verify = typeof verifyExports

/** The verifier of the code, with one check taken out. */
export async function withMutant(mutant: Mutant, use: (verify: Verify) => Promise<void>): Promise<void> {
  const root = resolve(import.meta.dirname, '../../..')
  const folder = await mkdtemp(join(tmpdir(), 'hansa-mutant-'))
  try {
    await cp(join(root, 'operator/src'), join(folder, 'src'), { recursive: true })
    await cp(join(root, 'operator/package.json'), join(folder, 'package.json'))
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    const path = join(folder, 'src/ledger/verify', mutant.file)
    const code = await readFile(path, 'utf8')
    if (code.split(mutant.from).length !== 2)
      throw new Error(`${mutant.file} has not "${mutant.from}" once: mend the mutant`)
    await writeFile(path, code.replace(mutant.from, mutant.to))
    const module = await import(pathToFileURL(join(folder, 'src/ledger/verify/verify-export.ts')).href)
    await use(module.verifyExports)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Attacks that a verifier does not notice. */
export async function unnoticed(verify: Verify, attacks: readonly Attack[]): Promise<string[]> {
  const missed: string[] = []
  for (const { name, files } of attacks) {
    const report = await verify(files.map((lines, index) => ({ name: `file-${index}`, lines: bytesOf(lines) })))
    if (report.findings.length === 0) missed.push(name)
  }
  return missed
}

async function* bytesOf(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const line of lines) yield Buffer.from(line.replace(/\n$/, ''))
}
