import { execFile } from 'node:child_process'
import { link, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ModelReason } from '@hansa/operator/api/model-reasons.ts'
import type { HostileModel } from './model-case.ts'
import { graph, model, tensor } from './onnx-bytes.ts'

const plain = model()
const external = model({ graph: graph({ initializers: [tensor({ external: [['location', 'weights.bin']] })] }) })
const below = model({ graph: graph({ initializers: [tensor({ external: [['location', 'data/weights.bin']] })] }) })
const sized = (path: string, sizeBytes: number) => ({ path, sizeBytes })

/** `weights.bin` is listed and made by `arrange`. */
const weights = (name: string, arrange: (root: string) => Promise<unknown>): HostileModel => ({
  name: `weights that are ${name}`,
  reason: 'UnsafePath',
  files: { 'model.onnx': external },
  listed: [sized('model.onnx', external.length), sized('weights.bin', 8)],
  arrange: async (root) => {
    await arrange(root)
  },
})

const listed = (reason: ModelReason, name: string, path: string): HostileModel => ({
  name: `a listed path: ${name}`,
  reason,
  files: { 'model.onnx': plain },
  listed: [sized('model.onnx', plain.length), sized(path, 8)],
})

const inModel = (root: string, path: string) => join(root, 'model', path)
const secret = (root: string) => join(root, 'outside', 'secret.bin')

/** Links, odd files and paths that leave the model folder. */
export const fileModels: HostileModel[] = [
  weights('a symbolic link to a file outside', (root) => symlink(secret(root), inModel(root, 'weights.bin'))),
  weights('a relative symbolic link', (root) => symlink('../outside/secret.bin', inModel(root, 'weights.bin'))),
  weights('a symbolic link inside the folder', async (root) => {
    await writeFile(inModel(root, 'real.bin'), Buffer.alloc(8))
    await symlink('real.bin', inModel(root, 'weights.bin'))
  }),
  weights('a symbolic link to nothing', (root) => symlink('nowhere', inModel(root, 'weights.bin'))),
  weights('a symbolic link to a device', (root) => symlink('/dev/zero', inModel(root, 'weights.bin'))),
  weights('a hard link to a file outside', (root) => link(secret(root), inModel(root, 'weights.bin'))),
  weights('a folder', (root) => mkdir(inModel(root, 'weights.bin'))),
  weights('a named pipe', (root) => promisify(execFile)('mkfifo', [inModel(root, 'weights.bin')])),
  {
    name: 'a folder on the way that is a symbolic link',
    reason: 'UnsafePath',
    files: { 'model.onnx': below },
    listed: [sized('model.onnx', below.length), sized('data/weights.bin', 8)],
    arrange: async (root) => {
      await writeFile(join(root, 'outside', 'weights.bin'), Buffer.alloc(8))
      await symlink('../outside', inModel(root, 'data'))
    },
  },
  {
    name: 'a model that is a symbolic link',
    reason: 'UnsafePath',
    files: { 'real.onnx': plain },
    listed: [sized('model.onnx', plain.length)],
    arrange: (root) => symlink('real.onnx', inModel(root, 'model.onnx')),
  },
  {
    name: 'a model that is a hard link',
    reason: 'UnsafePath',
    files: { 'model.onnx': plain },
    arrange: (root) => link(inModel(root, 'model.onnx'), join(root, 'outside', 'model.onnx')),
  },
  listed('UnsafePath', 'a parent folder', '../outside/secret.bin'),
  listed('UnsafePath', 'a parent folder in the middle', 'data/../../outside/secret.bin'),
  listed('UnsafePath', 'an absolute path', '/etc/hostname'),
  listed('UnsafePath', 'a leading dot', '.hidden'),
  listed('UnsafePath', 'a backslash', 'data\\weights.bin'),
  listed('UnsafePath', 'an empty component', 'data//weights.bin'),
  listed('UnsafePath', 'a NUL character', 'weights.bin\0.txt'),
  listed('UnsafePath', 'an empty path', ''),
  listed('UnsafePath', 'the model a second time', 'model.onnx'),
  listed('UnsafePath', 'below a file', 'model.onnx/weights.bin'),
  listed('SourceNotFound', 'a file that is not there', 'weights.bin'),
  {
    name: 'a file that is larger than listed',
    reason: 'SizeMismatch',
    files: { 'model.onnx': plain, 'weights.bin': Buffer.alloc(9) },
    listed: [sized('model.onnx', plain.length), sized('weights.bin', 8)],
  },
  {
    name: 'a model that is removed and a longer one in its place',
    reason: 'SizeMismatch',
    files: { 'model.onnx': plain },
    arrange: async (root) => {
      await rm(inModel(root, 'model.onnx'))
      await writeFile(inModel(root, 'model.onnx'), Buffer.concat([plain, plain]))
    },
  },
  { name: 'no model at all', reason: 'EntrypointMissing', files: { 'weights.bin': Buffer.alloc(8) } },
  { name: 'a model with another ending', reason: 'EntrypointMissing', files: { 'model.onnx.txt': plain } },
  { name: 'two models', reason: 'EntrypointAmbiguous', files: { 'a.onnx': plain, 'b.onnx': plain } },
  {
    name: 'an entrypoint that is no file',
    reason: 'EntrypointMissing',
    files: { 'a.onnx': plain },
    entrypoint: 'b.onnx',
  },
  {
    name: 'an entrypoint that is no model',
    reason: 'EntrypointMissing',
    files: { 'a.onnx': plain, 'weights.bin': Buffer.alloc(8) },
    entrypoint: 'weights.bin',
  },
  {
    name: 'a hostile model beside a good entrypoint',
    reason: 'NotONNX',
    files: { 'a.onnx': plain, 'b.onnx': Buffer.from('<html>') },
    entrypoint: 'a.onnx',
  },
]
