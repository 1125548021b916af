import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import { modelSpecSchema } from '../api/model.ts'
import { memoryIo } from './memory-io.ts'
import { nameFrom } from './plan-model.ts'
import { runProgram } from './run-program.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hansa-cli-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function add(...args: string[]) {
  const io = memoryIo()
  const connect = () => Promise.reject(new Error('model add needs no cluster'))
  const signal = AbortSignal.timeout(10_000)
  const code = await runProgram(['model', 'add', ...args], { io, connect, version: '0', signal })
  return { code, output: io.output(), errors: io.errors() }
}

test('a folder becomes a Model with the digest and size of every file', async () => {
  await mkdir(join(folder, 'weights'))
  await writeFile(join(folder, 'model.onnx'), 'graph')
  await writeFile(join(folder, 'weights/part-0.bin'), 'weights')
  const { code, output, errors } = await add(folder, '--local-path', 'triage/v3', '-n', 'radiology', '--licence', 'MIT')
  expect({ code, errors: errors.includes('error') }).toEqual({ code: 0, errors: false })
  const model = parse(output)
  expect(model.metadata).toEqual({ name: 'triage-v3', namespace: 'radiology' })
  expect(modelSpecSchema.parse(model.spec)).toEqual({
    format: 'ONNX',
    source: { local: { path: 'triage/v3' } },
    files: ['graph', 'weights'].map((content, index) => ({
      path: ['model.onnx', 'weights/part-0.bin'][index],
      sha256: createHash('sha256').update(content).digest('hex'),
      sizeBytes: content.length,
    })),
    licence: 'MIT',
  })
})

test('a folder on a claim names the claim', async () => {
  await writeFile(join(folder, 'model.onnx'), 'graph')
  const { output } = await add(folder, '--claim-name', 'models', '--claim-path', 'a/b', '-o', 'json')
  expect(JSON.parse(output).spec.source).toEqual({ pvc: { claimName: 'models', path: 'a/b' } })
})

test('what is no model file is refused, and nothing is printed', async () => {
  const refused = async (content: string, words: string) => {
    await writeFile(join(folder, 'model.onnx'), content)
    const { code, output, errors } = await add(folder, '--local-path', 'a')
    expect({ code, output }).toEqual({ code: 5, output: '' })
    expect(errors).toContain(words)
  }
  await refused('', 'is empty')
  await refused('version https://git-lfs.github.com/spec/v1\noid sha256:x\n', 'Git LFS pointer')
  await refused('<!DOCTYPE html><html>', 'web page')
})

test('links, hidden files and endless files are refused', async () => {
  await writeFile(join(folder, 'model.onnx'), 'graph')
  expect((await add(folder, '--local-path', 'a', '--max-bytes', '4')).errors).toContain('larger than the 4 bytes')
  await symlink('/etc/hostname', join(folder, 'link.onnx'))
  expect((await add(folder, '--local-path', 'a')).errors).toContain('link.onnx is no regular file')
  expect((await add(folder, '--local-path', 'a', '--file', 'link.onnx')).errors).toContain('is no regular file')
  await rm(join(folder, 'link.onnx'))
  await writeFile(join(folder, '.env'), 'secret')
  expect((await add(folder, '--local-path', 'a')).errors).toContain('.env: a Model cannot have a file of this name')
})

test('wrong usage ends with 2 and says what to do', async () => {
  const wrong = async (words: string, ...args: string[]) => {
    const { code, output, errors } = await add(...args)
    expect({ args, code, output }).toEqual({ args, code: 2, output: '' })
    expect(errors).toContain(words)
  }
  await writeFile(join(folder, 'a.onnx'), 'a')
  await writeFile(join(folder, 'b.onnx'), 'b')
  await wrong('must be an https URL', 'http://models.example/m.onnx')
  await wrong('Name each file with --file', 'https://models.example/v1/')
  await wrong('--file goes with the URL of a folder', 'https://models.example/v1', '--file', 'a.onnx')
  await wrong('must be a relative path', 'https://models.example/v1/', '--file', '../a.onnx')
  await wrong('the source would be refused', 'https://user:secret@models.example/v1/m.onnx')
  await wrong('Name it with --name', 'https://models.example/m.onnx')
  await wrong('either --local-path or --claim-name', folder)
  await wrong('Say which one to load with --entrypoint', folder, '--local-path', 'a')
  await wrong('must be one of a.onnx, b.onnx', folder, '--local-path', 'a', '--entrypoint', 'c.onnx')
  await wrong('the source would be refused', folder, '--local-path', '../a')
  await wrong('is no name of a Model', folder, '--local-path', 'a', '--name', 'A_B')
  await wrong("option '--max-bytes <bytes>' argument '1G' is invalid", folder, '--max-bytes', '1G')
})

test('an interrupted command ends with 130', async () => {
  await writeFile(join(folder, 'model.onnx'), 'graph')
  const io = memoryIo()
  const args = ['model', 'add', folder, '--local-path', 'a']
  const connect = () => Promise.reject(new Error('unused'))
  expect(await runProgram(args, { io, connect, version: '0', signal: AbortSignal.abort() })).toBe(130)
  expect(io.output()).toBe('')
})

test('the name comes from the last two parts of a path', () => {
  expect(nameFrom('/models/triage/v3/')).toBe('triage-v3')
  expect(nameFrom('/Triage_Model/V3.1/')).toBe('triage-model-v3-1')
  expect(nameFrom('/')).toBe('')
  expect(nameFrom(`/${'a'.repeat(50)}/v1/`)).toHaveLength(40)
})

async function addEmbedding(...args: string[]) {
  await writeFile(join(folder, 'model.onnx'), 'graph')
  await writeFile(join(folder, 'tokenizer.json'), '{}')
  return add(folder, '--local-path', 'minilm', ...args)
}

test('--embedding finds the tokenizer; pooling and longest text are the options', async () => {
  const { code, output } = await addEmbedding('--embedding', '--pooling', 'CLS', '--max-tokens', '256')
  expect(code).toBe(0)
  const { spec } = parse(output)
  expect(modelSpecSchema.parse(spec).embedding).toEqual({
    tokenizer: 'tokenizer.json',
    pooling: 'CLS',
    normalize: true,
    maxTokens: 256,
  })
})

test('--max-tokens alone asks for embedding too', async () => {
  const { output } = await addEmbedding('--max-tokens', '128')
  expect(parse(output).spec.embedding).toMatchObject({ pooling: 'Mean', maxTokens: 128 })
})

test('a tokenizer among the files without --embedding is pointed out, and changes nothing', async () => {
  const { code, output, errors } = await addEmbedding()
  expect([code, parse(output).spec.embedding]).toEqual([0, undefined])
  expect(errors).toContain('add --embedding')
})

test.each([
  [['--embedding', '--file', 'model.onnx'], 'needs a tokenizer.json among the files'],
  [['--embedding', '--format', 'TrainingBundle'], 'goes with --format ONNX'],
  [['--pooling', 'Max'], 'Allowed choices are Mean, CLS, None'],
  [['--max-tokens', '0'], 'must be from 1 to 131072'],
])('%j is refused', async (args, message) => {
  const { code, errors } = await addEmbedding(...args)
  expect(code).not.toBe(0)
  expect(errors).toContain(message)
})
