import { readFileSync } from 'node:fs'
import { fileSource } from './byte-source.ts'
import { checkFile } from './check-file.ts'
import type { CheckJob } from './check-process.ts'
import { ModelRefused } from './model-refused.ts'

// Entry of the process that runCheckProcess starts: job on standard input, file on descriptor 3, answer on standard output.
// A cast, because the parent is this program's own code.
const job = JSON.parse(readFileSync(0, 'utf8')) as CheckJob
try {
  checkFile(fileSource(3, job.sizeBytes), {
    file: job.file,
    sizes: new Map(job.sizes),
    limits: job.limits,
    domains: new Set(job.domains.map((domain) => (domain === 'ai.onnx' ? '' : domain))),
  })
  process.stdout.write(JSON.stringify({ ok: true }))
} catch (error) {
  if (!(error instanceof ModelRefused)) throw error
  process.stdout.write(JSON.stringify({ reason: error.reason, message: error.message.slice(0, 2000) }))
}
