import { inferenceServiceSpecSchema } from '@hansa/operator/api/inference-service.ts'
import { modelSpecSchema } from '@hansa/operator/api/model.ts'
import { expect, test } from 'vitest'
import type { z } from 'zod'
import { type BadInputCase, inProcess, type Observed } from '../../bad-input/case.ts'
import { suite } from '../../bad-input/manifests/cases.ts'
import { spoiledManifests } from '../../bad-input/manifests/generated.ts'
import { runSuite } from '../../bad-input/run-suite.ts'

test('every bad manifest gets its documented refusal from a real API server', async () => {
  expect(suite.cases.length).toBeGreaterThan(100)
  expect(new Set(suite.cases.map(({ name }) => name)).size).toBe(suite.cases.length)
  const result = await runSuite(suite, () => undefined)
  expect(result.failures).toEqual([])
  expect(result).toMatchObject({ refused: suite.cases.length, letThrough: 0, crashed: 0 })
})

test('a case that is let through, refused for another reason, broken or endless is reported', async () => {
  const run = (observed: Observed) => async () => observed
  const cases: BadInputCase[] = [
    { name: 'through', expected: {}, run: run({ outcome: 'accepted', detail: '201' }) },
    { name: 'other', expected: { status: 422 }, run: run({ outcome: 'refused', status: 400, message: 'no' }) },
    { name: 'words', expected: { message: 'must' }, run: run({ outcome: 'refused', message: 'no' }) },
    { name: 'throws', expected: {}, run: () => Promise.reject(new Error('broken')) },
    { name: 'endless', expected: {}, run: () => new Promise(() => undefined) },
    { name: 'right', expected: { message: /^n/ }, run: run({ outcome: 'refused', message: 'no' }) },
  ]
  const keepAlive = setInterval(() => undefined, 1000)
  const result = await runSuite({ name: 'sample', cases, start: inProcess }, () => undefined, { caseSeconds: 1 })
  clearInterval(keepAlive)
  expect(result).toMatchObject({ cases: 6, refused: 3, letThrough: 1, crashed: 2 })
  expect(result.failures).toHaveLength(5)
})

test('what the API server refuses by type and bounds, the schemas refuse too', () => {
  const specs: Record<string, z.ZodType> = { Model: modelSpecSchema, InferenceService: inferenceServiceSpecSchema }
  // The API server alone looks for unknown fields and for two items with the same key.
  const itsOwn = ['an unknown field', 'the same item twice']
  const spoiled = spoiledManifests().filter(({ how }) => !itsOwn.includes(how))
  expect(spoiled.length).toBeGreaterThan(100)
  const accepted = spoiled.filter(({ kind, body }) => specs[kind]?.safeParse(body.spec).success !== false)
  expect(accepted.map(({ name }) => name)).toEqual([])
})
