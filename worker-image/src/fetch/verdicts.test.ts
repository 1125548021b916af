import { expect, test } from 'vitest'
import { createVerdicts } from './verdicts.ts'

const files = [
  { path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes: 10 },
  { path: 'weights.bin', sha256: 'b'.repeat(64), sizeBytes: 20 },
]
const request = (change: object = {}) => ({
  namespace: 'radiology',
  name: 'triage',
  uid: '1',
  generation: 1,
  format: 'ONNX' as const,
  source: { https: { url: 'https://models.example' } },
  entrypoint: 'model.onnx',
  files,
  ...change,
})

test('the same files are safe under another name, uid and source, in any order', () => {
  const verdicts = createVerdicts()
  verdicts.markSafe(request())
  const other = { name: 'other', uid: '2', source: { peer: { name: 'library' } }, files: files.toReversed() }
  expect(verdicts.isSafe(request(other))).toBe(true)
})

test.each([
  ['namespace', { namespace: 'library' }],
  ['format', { format: 'TrainingBundle' }],
  ['entrypoint', { entrypoint: 'other.onnx' }],
  ['no entrypoint', { entrypoint: undefined }],
  ['a path', { files: [{ ...files[0], path: 'x.onnx' }, files[1]] }],
  ['a digest', { files: [{ ...files[0], sha256: 'c'.repeat(64) }, files[1]] }],
  ['a file more', { files: [...files, { path: 'c', sha256: 'd'.repeat(64), sizeBytes: 1 }] }],
])('another %s is another verdict', (_, change) => {
  const verdicts = createVerdicts()
  verdicts.markSafe(request())
  expect(verdicts.isSafe(request(change))).toBe(false)
})

test('what was not asked for longest is forgotten first', () => {
  const verdicts = createVerdicts(2)
  const [one, two, three] = ['1.onnx', '2.onnx', '3.onnx'].map((entrypoint) => request({ entrypoint }))
  if (one === undefined || two === undefined || three === undefined) throw new Error('three')
  verdicts.markSafe(one)
  verdicts.markSafe(two)
  expect(verdicts.isSafe(one)).toBe(true)
  verdicts.markSafe(three)
  expect([one, two, three].map((each) => verdicts.isSafe(each))).toEqual([true, false, true])
})
