import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import type { BadInputSuite } from '../bad-input/case.ts'
import { runSuite, type SuiteResult } from '../bad-input/run-suite.ts'

const leastCases = 150

export const promise = {
  id: 'bad-input',
  claim:
    'Malformed manifests, requests and models, generated and hand-made, each get their documented refusal; none crashes anything, none is let through.',
  aim: `${leastCases} cases or more, of manifests, models and requests; 0 let through, 0 crashes, 0 undocumented refusals`,
}

const folder = resolve(import.meta.dirname, '../bad-input')
const kindsOfInput = ['manifests', 'models', 'requests']

const suiteSchema = z.object({
  suite: z.custom<BadInputSuite<unknown>>((value) => typeof value === 'object' && value !== null && 'cases' in value),
})

/** Runs all cases of `test/bad-input/`, one kind of input after the other. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const results: SuiteResult[] = []
  const missing: string[] = []
  for (const kind of kindsOfInput) {
    const path = resolve(folder, kind, 'cases.ts')
    if (!existsSync(path)) {
      missing.push(kind)
      report(`${kind}: there are no cases`)
      continue
    }
    const { suite } = suiteSchema.parse(await import(pathToFileURL(path).href))
    report(`${suite.name}: ${suite.cases.length} cases`)
    results.push(await runSuite(suite, report))
  }
  const sum = (count: (result: SuiteResult) => number) => results.reduce((total, result) => total + count(result), 0)
  const cases = sum((result) => result.cases)
  const wrong = sum((result) => result.failures.length)
  const figures = [
    `n=${cases} (${results.map(({ name, cases: n }) => `${n} ${name}`).join(', ')})`,
    `${cases - wrong} refused as documented`,
    `${sum((result) => result.letThrough)} let through`,
    `${sum((result) => result.crashed)} crashes`,
    ...(missing.length > 0 ? [`no cases of ${missing.join(' and ')}`] : []),
  ].join(', ')
  return { figures, holds: missing.length === 0 && wrong === 0 && cases >= leastCases }
}
