import { readdir } from 'node:fs/promises'
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

const suiteSchema = z.custom<BadInputSuite<unknown>>(
  (value) => typeof value === 'object' && value !== null && 'cases' in value && 'start' in value,
)

/** The suites that the modules `cases.ts` and `*-cases.ts` of a folder export as `suite`, each once. */
async function suitesOf(kind: string): Promise<BadInputSuite<unknown>[]> {
  const names = await readdir(resolve(folder, kind)).catch(() => [])
  const suites = new Set<BadInputSuite<unknown>>()
  for (const name of names.filter((each) => /^(.*-)?cases\.ts$/.test(each)).sort()) {
    const exported: { suite?: unknown } = await import(pathToFileURL(resolve(folder, kind, name)).href)
    if (exported.suite !== undefined) suites.add(suiteSchema.parse(exported.suite))
  }
  return [...suites]
}

/** Runs all cases of `test/bad-input/`, one kind of input after the other. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const results: SuiteResult[] = []
  const missing: string[] = []
  for (const kind of kindsOfInput) {
    const suites = await suitesOf(kind)
    if (suites.length === 0) {
      missing.push(kind)
      report(`${kind}: there are no cases`)
    }
    for (const suite of suites) {
      report(`${suite.name}: ${suite.cases.length} cases`)
      results.push(await runSuite(suite, report))
    }
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
