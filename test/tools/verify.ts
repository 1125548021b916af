import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

const checks: { name: string; fix: string; command: string[] }[] = [
  { name: 'format', fix: 'npm run format', command: ['biome', 'format', '.'] },
  { name: 'lint', fix: 'npx biome lint --write .', command: ['biome', 'lint', '--error-on-warnings', '.'] },
  { name: 'types', fix: 'npm run typecheck', command: ['tsc', '--noEmit'] },
  {
    name: 'custom resources and docs',
    fix: 'npm run generate',
    command: ['node', 'operator/src/api/generate/main.ts', '--check'],
  },
  {
    name: 'model decoder',
    fix: 'npm run generate',
    command: ['node', 'worker-image/src/model/generate-decoder.ts', '--check'],
  },
  { name: 'list of promises', fix: 'npm run generate', command: ['node', 'test/promises/main.ts', '--check'] },
]

function run(command: string[]): Promise<{ code: number; output: string }> {
  const [program = '', ...args] = command
  return new Promise((done) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) =>
      done({ code: 1, output: `${program} did not start: ${error.message}; run npm install first\n` }),
    )
    child.on('close', (code) => done({ code: code ?? 1, output: Buffer.concat(chunks).toString() }))
  })
}

let failed = 0
for (const check of checks) {
  const startedAt = performance.now()
  const { code, output } = await run(check.command)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  if (code === 0) {
    console.log(`ok      ${check.name} (${seconds} s)`)
    continue
  }
  failed += 1
  console.log(`FAILED  ${check.name} (${seconds} s); mend with: ${check.fix}\n${output}`)
}
if (failed > 0) process.exitCode = 1
