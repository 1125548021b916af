import fc from 'fast-check'
import { expect, test } from 'vitest'
import { matchesGlob, selectPaths } from './glob.ts'

test.each([
  ['onnx/model.onnx', '*.onnx', true],
  ['onnx/model.onnx', 'onnx/*', true],
  ['onnx/a/model.onnx', 'onnx/*', false],
  ['onnx/a/model.onnx', 'onnx/**', true],
  ['model.onnx', '**/*.onnx', true],
  ['a/b/model.onnx', '**/*.onnx', true],
  ['model.onnx_data', '*.onnx', false],
  ['vocab/config.json', 'config.json', true],
  ['vocab/config.json', '/config.json', false],
  ['config.json', '/config.json', true],
  ['model_v1.onnx', 'model_v?.onnx', true],
  ['modelxonnx', 'model.onnx', false],
  ['a+b(c).onnx', 'a+b(c).onnx', true],
])('%s fits %s: %s', (path, pattern, expected) => {
  expect(matchesGlob(path, pattern)).toBe(expected)
})

test('what is excluded is left out of what is included', () => {
  const paths = ['a.onnx', 'a_fp16.onnx', 'b.bin']
  expect(selectPaths(paths, { include: ['*.onnx'], exclude: ['*_fp16*'] })).toEqual(['a.onnx'])
})

test('a path without wildcards fits itself, and ** fits all', () => {
  const path = fc.stringMatching(/^[A-Za-z0-9_.+()-]{1,8}(\/[A-Za-z0-9_.+()-]{1,8}){0,3}$/)
  fc.assert(fc.property(path, (each) => matchesGlob(each, `/${each}`) && matchesGlob(each, '**')))
})
