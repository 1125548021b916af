import { expect, test } from 'vitest'
import { model, verified as verifiedModel, withFiles, withVerdict } from '../../../test/builders/model.ts'
import { modelReasons, modelReasonTexts } from '../api/model-reasons.ts'
import { isNews, isVerified, summarise, verified } from './finding.ts'

const now = new Date('2026-11-22T12:00:00Z')

test('a verified model is ready, and says how large it is', () => {
  const built = model(
    'digits',
    withFiles(
      { path: 'a.onnx', sha256: 'a'.repeat(64), sizeBytes: 3 },
      { path: 'b.bin', sha256: 'b'.repeat(64), sizeBytes: 4 },
    ),
  )
  const status = summarise(built, verified(), now)
  expect(status).toMatchObject({ observedGeneration: 1, sizeBytes: 7 })
  expect(status.conditions?.map(({ type, status: value, reason }) => `${type} ${value} ${reason}`)).toEqual([
    'Verified True Verified',
    'Ready True Ready',
  ])
})

test.each(modelReasons)('a model with reason %s has the status of the catalogue in both conditions', (reason) => {
  const { conditions = [] } = summarise(model('digits'), { reason, message: 'm' }, now)
  for (const condition of conditions) expect(condition.status).toBe(modelReasonTexts[reason].status)
})

test('summing up twice changes nothing', () => {
  const built = model('digits')
  built.status = summarise(built, verified(), now)
  expect(summarise(built, verified(), new Date(now.getTime() + 60_000))).toEqual(built.status)
})

test('what is known stays known while it is only looked at again', () => {
  const refused = model('digits', withVerdict('False', 'DigestMismatch'))
  for (const known of [model('digits', verifiedModel), refused]) {
    expect(isNews(known, { reason: 'Fetching', message: '' })).toBe(false)
    expect(isNews(known, { reason: 'FetchWorkerUnreachable', message: '' })).toBe(false)
    expect(isNews(known, { reason: 'SizeMismatch', message: '' })).toBe(true)
  }
  expect(isNews(model('digits'), { reason: 'Pending', message: '' })).toBe(true)
  expect(isNews(model('digits', withVerdict('Unknown', 'Pending')), { reason: 'Fetching', message: '' })).toBe(true)
})

test('a verdict about another generation counts for nothing', () => {
  const built = model('digits', verifiedModel)
  built.metadata.generation = 2
  expect(isVerified(built)).toBe(false)
  expect(isNews(built, { reason: 'Pending', message: '' })).toBe(true)
})
