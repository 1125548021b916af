import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { InferenceSession } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { legitimate } from '../../../test/bad-input/models/content.ts'
import { laidOut } from '../../../test/bad-input/models/model-case.ts'
import { bytes, graph, model, node, tensor } from '../../../test/bad-input/models/onnx-bytes.ts'
import { bytesSource } from './byte-source.ts'
import { checkFile } from './check-file.ts'
import { defaultDomains, defaultLimits } from './limits.ts'
import { ModelRefused } from './model-refused.ts'

const digits = readFileSync(join(import.meta.dirname, '../../../examples/models/digits/v2/model.onnx'))

function check(onnx: Uint8Array, sizes: [string, number][] = [['weights.bin', 8]], file = 'model.onnx'): void {
  const domains = new Set(defaultDomains)
  checkFile(bytesSource(onnx), { file, sizes: new Map(sizes), limits: defaultLimits, domains })
}

/** Undefined when it passes; anything thrown that is no refusal fails the test. */
function reasonOf(onnx: Uint8Array): string | undefined {
  try {
    check(onnx)
    return undefined
  } catch (error) {
    if (error instanceof ModelRefused) return error.reason
    throw error
  }
}

test.each([
  ['the plain model', model()],
  ...Object.entries(legitimate),
])('%s of the hostile ones’ builder passes, and ONNX Runtime loads it', async (_name, onnx) => {
  expect(reasonOf(onnx)).toBeUndefined()
  const files = { 'model.onnx': onnx, 'weights.bin': Buffer.alloc(8) }
  await laidOut({ name: '', reason: 'Verified', files }, async (root) => {
    const session = await InferenceSession.create(join(root, 'model', 'model.onnx'), { logSeverityLevel: 4 })
    expect(session.outputNames).toEqual(['y'])
    await session.release()
  })
})

test('external data is looked up beside the .onnx file, not at the root', () => {
  const onnx = model({ graph: graph({ initializers: [tensor({ external: [['location', 'weights.bin']] })] }) })
  expect(() => check(onnx, [['sub/weights.bin', 8]], 'sub/model.onnx')).not.toThrow()
  expect(() => check(onnx, [['weights.bin', 8]], 'sub/model.onnx')).toThrow('spec.files does not list')
})

test('every prefix of a real model but the whole is refused', () => {
  const prefixes = Array.from({ length: 200 }, (_, index) => Math.floor((index / 200) * digits.length))
  expect(prefixes.filter((length) => reasonOf(digits.subarray(0, length)) === undefined)).toEqual([])
})

test('random bytes are refused and never crash the check', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      expect(reasonOf(noise)).toBeDefined()
    }),
    { numRuns: 2000 },
  )
})

test('random bytes inside a graph never crash the check', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      reasonOf(model({ graph: graph({ extra: [noise] }) }))
      reasonOf(model({ graph: graph({ initializers: [tensor({ extra: [noise] })] }) }))
      reasonOf(model({ graph: graph({ nodes: [node('Add', { attributes: [noise] })] }) }))
    }),
    { numRuns: 2000 },
  )
})

test('a real model with changed, removed or repeated bytes passes or is refused, and never crashes the check', () => {
  const edit = fc.record({
    at: fc.nat(digits.length - 1),
    remove: fc.nat(8),
    insert: fc.uint8Array({ maxLength: 8 }),
  })
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let changed: Buffer = digits
      for (const { at, remove, insert } of edits) {
        changed = Buffer.concat([changed.subarray(0, at), insert, changed.subarray(at + remove)])
      }
      reasonOf(changed)
    }),
    { numRuns: 2000 },
  )
})

test('whatever a tensor gives as its location, only listed files inside the folder pass', () => {
  const part = fc.constantFrom(
    '..',
    '.',
    '',
    'data',
    'weights.bin',
    'a\0b',
    '\\',
    'C:',
    '~',
    '*',
    '_ORT_MEM_ADDR_',
    '%2e',
  )
  const location = fc.oneof(
    fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/')),
    fc.string({ maxLength: 20 }),
  )
  const listed: [string, number][] = [
    ['weights.bin', 8],
    ['data/weights.bin', 8],
  ]
  fc.assert(
    fc.property(location, (text) => {
      const onnx = model({ graph: graph({ initializers: [tensor({ external: [['location', text]] })] }) })
      let passed = true
      try {
        check(onnx, listed)
      } catch (error) {
        expect(error).toBeInstanceOf(ModelRefused)
        passed = false
      }
      expect(passed).toBe(listed.some(([path]) => path === text))
    }),
    { numRuns: 2000 },
  )
})

test('weights are passed over: a file of 1.5 GiB costs less than 100 MB and a second', () => {
  const size = 1.5 * 2 ** 30
  // A tensor of zeros whose bytes are never made: only the wire around them is.
  const inner = tensor({ dims: [size / 4], raw: null })
  const rawTag = Buffer.concat([Buffer.from([9 * 8 + 2]), lengthOf(size)])
  const tensorLength = inner.length + rawTag.length + size
  const graphLength = 1 + lengthOf(tensorLength).length + tensorLength
  const prefix = Buffer.concat([
    Buffer.from([8, 9]),
    bytes(8, Buffer.from([16, 19])),
    Buffer.from([7 * 8 + 2]),
    lengthOf(graphLength),
    Buffer.from([5 * 8 + 2]),
    lengthOf(tensorLength),
    inner,
    rawTag,
  ])
  let read = 0
  const source = {
    size: prefix.length + size,
    read(into: Uint8Array, position: number) {
      read += into.length
      into.fill(0)
      if (position < prefix.length) into.set(prefix.subarray(position, position + into.length))
      return Math.min(into.length, prefix.length + size - position)
    },
  }
  const before = process.memoryUsage().rss
  const started = performance.now()
  const domains = new Set(defaultDomains)
  checkFile(source, { file: 'model.onnx', sizes: new Map(), limits: defaultLimits, domains })
  expect(performance.now() - started).toBeLessThan(1000)
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20)
  expect(read).toBeLessThan(2 ** 20)
})

function lengthOf(value: number): Buffer {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...out, rest])
}
