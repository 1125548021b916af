import { posix } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dnsSubdomain, objectName, quantity, relativePathPattern } from './scalar.ts'

test('no accepted path leaves its folder or reads differently after normalising', () => {
  const piece = fc.constantFrom('..', '.', '/', '\\', 'a', 'model.onnx', '%2e', '~', '-', '\u0000', 'C:', ' ')
  const path = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(path, (text) => {
      if (!relativePathPattern.test(text)) return
      expect(posix.normalize(text)).toBe(text)
      expect(posix.resolve('/models', text).startsWith('/models/')).toBe(true)
      expect(new URL(text, 'https://models.example/v1/').href).toBe(`https://models.example/v1/${text}`)
    }),
    { numRuns: 2000 },
  )
})

test('plain paths, names and quantities are accepted', () => {
  for (const path of ['model.onnx', 'a/b/c.bin', '_x/1.y', '0-9']) expect(relativePathPattern.test(path)).toBe(true)
  for (const name of ['a', '0', 'digits-v1', 'a'.repeat(40)]) expect(objectName.safeParse(name).success).toBe(true)
  for (const name of ['a.b', 'registry.k8s.io']) expect(dnsSubdomain.safeParse(name).success).toBe(true)
  for (const text of ['1', '500m', '0.5', '16Gi', '2k']) expect(quantity.safeParse(text).success).toBe(true)
})

test('names that Kubernetes refuses are refused', () => {
  for (const name of ['', '-a', 'a-', 'A', 'a_b', 'a.b', 'a'.repeat(41), 'a\n']) {
    expect(objectName.safeParse(name).success, JSON.stringify(name)).toBe(false)
  }
  for (const name of ['a..b', '.a', 'a.', 'a.-b', 'a/b']) expect(dnsSubdomain.safeParse(name).success).toBe(false)
  for (const text of ['', '-1', '1e3', '1 Gi', '.5', 'Gi', '1gi']) expect(quantity.safeParse(text).success).toBe(false)
})
