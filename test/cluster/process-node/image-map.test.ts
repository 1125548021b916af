import { expect, test } from 'vitest'
import { findImage, type ImageMap } from './image-map.ts'

const images: ImageMap = {
  'hansa.dev': { entrypoint: ['any'] },
  'hansa.dev/operator': { entrypoint: ['operator'] },
  'other:1': { entrypoint: ['exact'] },
}

test.each([
  ['hansa.dev/operator', 'operator'],
  ['hansa.dev/operator:v1', 'operator'],
  ['hansa.dev/operator@sha256:00', 'operator'],
  ['hansa.dev/operators:v1', 'any'],
  ['hansa.dev/worker', 'any'],
  ['other:1', 'exact'],
])('%s runs %s', (name, expected) => {
  expect(findImage(images, name)?.entrypoint).toEqual([expected])
})

test.each(['hansa.devil', 'other:12', 'other', ''])('%s is unknown', (name) => {
  expect(findImage(images, name)).toBeUndefined()
})
