import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FetchError } from '../fetch/fetch-error.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { reportOf, reportText } from './termination.ts'

test('a report always fits into a termination message and is JSON', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 9000 }), fc.string({ maxLength: 255 }), (message, file) => {
      const text = reportText({ reason: 'NotONNX', message, file })
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096)
      expect(JSON.parse(text)).toMatchObject({ reason: 'NotONNX', file })
    }),
  )
})

test('an error keeps its reason when it is about the model, and gets the general one when it is not', () => {
  expect(reportOf(new ModelRefused('NotONNX', 'm', { file: 'f' }), 'VolumeUnavailable')).toEqual({
    reason: 'NotONNX',
    message: 'm',
    file: 'f',
  })
  expect(reportOf(new FetchError('BlobNotFound', 'm'), 'VolumeUnavailable').reason).toBe('BlobNotFound')
  expect(reportOf(new TypeError('m'), 'VolumeUnavailable').reason).toBe('VolumeUnavailable')
})
