import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Makes `generated/` from the pinned `onnx.proto`: a static decoder, its types, and the table of fields that the wire
 * scanner walks by. `--check` compares with what is committed and exits 1 when it differs. Nothing parses a schema at run
 * time: protobufjs turns schemas into code (CVE-2026-41242, CVE-2026-44291).
 */

// The file is `onnx/onnx-ml.proto` of the PyPI package onnx 1.23.2, byte for byte (Apache-2.0).
const schemaSha256 = '8f39d0a1ae1abef5ca648922cdb06716d6bd1573c9e972b42854c16e9e352c16'

const schemaFile = join(import.meta.dirname, 'onnx.proto')
const generatedDir = join(import.meta.dirname, 'generated')
const outputs = ['onnx.js', 'onnx.d.ts', 'onnx-fields.ts'] as const

type Field = { id: number; type: string; rule?: string }
type Type = {
  fields?: Record<string, Field>
  oneofs?: Record<string, { oneof: string[] }>
  values?: Record<string, number>
  nested?: Record<string, Type>
}

function pbjs(args: string[]): string {
  const command = createRequire(import.meta.url).resolve('protobufjs-cli/bin/pbjs')
  const run = spawnSync(process.execPath, [command, ...args, schemaFile], { encoding: 'utf8', timeout: 120_000 })
  if (run.status !== 0) throw new Error(`pbjs ${args.join(' ')} failed: ${run.stderr}`)
  return run.stdout
}

function generate(dir: string): void {
  const digest = createHash('sha256').update(readFileSync(schemaFile)).digest('hex')
  if (digest !== schemaSha256) throw new Error(`onnx.proto has sha256 ${digest}, pinned is ${schemaSha256}`)
  mkdirSync(dir, { recursive: true })
  const decodeOnly = ['create', 'encode', 'verify', 'convert', 'delimited', 'service', 'typeurl'].map(
    (x) => `--no-${x}`,
  )
  const base = ['-t', 'static-module', '-w', 'esm', '--force-long', '-r', 'hansa-onnx', ...decodeOnly]
  // Types are made from the comments, which the code itself can do without.
  pbjs([...base, '--dts', '-o', join(dir, 'onnx.js')])
  writeFileSync(join(dir, 'onnx.js'), pbjs([...base, '--no-comments']))
  writeFileSync(join(dir, 'onnx-fields.ts'), fieldTable())
}

function fieldTable(): string {
  // A cast, because pbjs documents this JSON but has no types for it; the tests of the scanner fail when it changes.
  const root = (JSON.parse(pbjs(['-t', 'json'])) as { nested: { onnx: Type } }).nested.onnx
  const messages: Record<string, Type> = {}
  const enums: Record<string, number[]> = {}
  const collect = (prefix: string, types: Record<string, Type>): void => {
    for (const [name, type] of Object.entries(types)) {
      const full = prefix === '' ? name : `${prefix}.${name}`
      if (type.values !== undefined) enums[full] = Object.values(type.values).sort((a, b) => a - b)
      else messages[full] = type
      collect(full, type.nested ?? {})
    }
  }
  collect('', root.nested ?? {})
  const resolve = (scope: string, type: string): string => {
    for (let prefix = scope; prefix !== ''; prefix = prefix.includes('.') ? prefix.replace(/\.[^.]*$/, '') : '') {
      const full = `${prefix}.${type}`
      if (full in messages || full in enums) return full
    }
    return type
  }
  const lines = Object.entries(messages).map(([name, message]) => {
    const oneofOf = new Map<string, string>()
    for (const [oneof, { oneof: members }] of Object.entries(message.oneofs ?? {})) {
      for (const member of members) oneofOf.set(member, oneof)
    }
    const fields = Object.entries(message.fields ?? {}).map(([field, { id, type, rule }]) => {
      const full = resolve(name, type)
      const kind = full in messages ? { message: full } : full in enums ? { enum: full } : { scalar: type }
      const oneof = oneofOf.get(field)
      return `    ${id}: ${JSON.stringify({ name: field, ...kind, repeated: rule === 'repeated', ...(oneof === undefined ? {} : { oneof }) })},`
    })
    return `  ${JSON.stringify(name)}: {\n${fields.join('\n')}\n  },`
  })
  return [
    '// Generated from onnx.proto by generate-decoder.ts; do not edit.',
    "import type { EnumValues, MessageFields } from '../field.ts'",
    '',
    `export const messages: Record<string, MessageFields> = {\n${lines.join('\n')}\n}`,
    '',
    `export const enums: Record<string, EnumValues> = ${JSON.stringify(enums, null, 2)}`,
    '',
  ].join('\n')
}

if (process.argv.includes('--check')) {
  const dir = mkdtempSync(join(tmpdir(), 'hansa-decoder-'))
  try {
    generate(dir)
    const differing = outputs.filter((file) => readFileSync(join(dir, file), 'utf8') !== committed(file))
    if (differing.length > 0) {
      console.error(
        `worker-image/src/model/generated differs from its schema: ${differing.join(', ')}; run npm run generate`,
      )
      process.exitCode = 1
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
} else {
  generate(generatedDir)
}

function committed(file: string): string | undefined {
  try {
    return readFileSync(join(generatedDir, file), 'utf8')
  } catch {
    return undefined
  }
}
