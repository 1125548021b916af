import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseManifest, refusePacked } from './manifest.ts'

const digest = `sha256:${'a'.repeat(64)}`
const layer = (title: string, more: object = {}) => ({
  mediaType: 'application/octet-stream',
  digest,
  size: 3,
  annotations: { 'org.opencontainers.image.title': title },
  ...more,
})
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const manifest = (...layers: object[]) => bytes({ schemaVersion: 2, layers })

test('layers are found by their titles; those without one are passed over', () => {
  const { annotations: _annotations, ...untitled } = layer('x')
  const layers = parseManifest(manifest(layer('model.onnx'), untitled))
  expect([...layers]).toEqual([['model.onnx', { mediaType: 'application/octet-stream', digest, sizeBytes: 3 }]])
})

test.each([
  [
    'an index',
    bytes({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }),
    'index',
  ],
  ['a Docker list', bytes({ mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json' }), 'index'],
  ['a Docker image', bytes({ mediaType: 'application/vnd.docker.distribution.manifest.v2+json' }), 'Docker image'],
  ['Docker schema 1', bytes({ schemaVersion: 1, fsLayers: [] }), 'no OCI image manifest'],
  ['two layers of one title', manifest(layer('a'), layer('a')), 'two layers'],
  ['a negative size', manifest(layer('a', { size: -1 })), 'no OCI image manifest'],
  ['no JSON', Buffer.from('{"secret'), 'no JSON'],
  ['no UTF-8', Buffer.from([0xff, 0xfe]), 'no JSON'],
])('%s is refused', (_what, given, words) => {
  const parse = () => parseManifest(given)
  expect(parse).toThrow(words)
  expect(parse).toThrow(expect.objectContaining({ reason: 'SourceUnsupported', retry: 'never' }))
})

test.each([
  'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/gzip',
  'application/zip',
])('a layer of %s is packed', (mediaType) => {
  expect(() => refusePacked('a', { mediaType, digest, sizeBytes: 1 })).toThrow(mediaType)
})

test.each([
  'application/octet-stream',
  'application/vnd.onnx.model',
  'application/json',
  'text/plain',
  'application/x-target',
])('a layer of %s is a file as it is', (mediaType) => {
  expect(() => refusePacked('a', { mediaType, digest, sizeBytes: 1 })).not.toThrow()
})

test('a digest that is no SHA-256 is refused', () => {
  const refuse = () => refusePacked('a', { mediaType: 'x', digest: `sha512:${'a'.repeat(128)}`, sizeBytes: 1 })
  expect(refuse).toThrow('no SHA-256')
})

test('no bytes crash the parser, and every refusal has its reason', () => {
  const parse = (given: Uint8Array) => {
    try {
      parseManifest(given)
    } catch (error) {
      expect(error).toMatchObject({ reason: 'SourceUnsupported' })
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), parse))
  fc.assert(fc.property(fc.jsonValue(), (value) => parse(bytes({ schemaVersion: 2, layers: value }))))
})
