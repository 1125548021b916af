import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { modelReasonTexts } from '@hansa/operator/api/model-reasons.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'
import { z } from 'zod'
import type { ModelLimits } from './limits.ts'
import { ModelRefused } from './model-refused.ts'

/** What the child is told on its standard input; the file itself is its descriptor 3. */
export type CheckJob = {
  file: string
  sizeBytes: number
  /** Path and size of every file of the Model. */
  sizes: [string, number][]
  limits: ModelLimits
  domains: string[]
}

// Record keys as an enum: the answer of the child is as little trusted as the file that it read.
const reasons = Object.keys(modelReasonTexts) as [keyof typeof modelReasonTexts]
const answerSchema = z.union([
  z.object({ ok: z.literal(true) }),
  z.object({ reason: z.enum(reasons), message: z.string().max(2000) }),
])

const longestAnswer = 16_384

/**
 * Runs the check of one ONNX file in a process of its own: no environment, node's permission model without writing and without
 * child processes, a heap limit, a deadline. A file that fills the heap or runs out of time is refused with `TooLarge`.
 */
export async function runCheckProcess(
  job: CheckJob,
  fd: number,
  bounds: { deadlineMs: number; heapMegabytes: number; signal: AbortSignal },
): Promise<void> {
  bounds.signal.throwIfAborted()
  const child = spawn(
    process.execPath,
    [
      '--permission',
      '--allow-fs-read=*',
      '--no-warnings',
      `--max-old-space-size=${bounds.heapMegabytes}`,
      join(import.meta.dirname, 'check-child.ts'),
    ],
    { stdio: ['pipe', 'pipe', 'ignore', fd], env: {}, cwd: '/' },
  )
  const kill = () => child.kill('SIGKILL')
  let late = false
  const timer = setTimeout(() => {
    late = true
    kill()
  }, bounds.deadlineMs)
  bounds.signal.addEventListener('abort', kill, { once: true })
  try {
    let answer = ''
    child.stdout?.setEncoding('utf8')
    child.stdout?.on('data', (text: string) => {
      answer += text
      if (answer.length > longestAnswer) kill()
    })
    // The child may be dead before it has read its job; how it ended says enough.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(JSON.stringify(job))
    const ended = await new Promise<string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
    })
    bounds.signal.throwIfAborted()
    if (late) throw new ModelRefused('TooLarge', `the check took over ${bounds.deadlineMs} ms`, { file: job.file })
    const result = parse(answer)
    if (result === undefined) {
      // V8 aborts when the heap is full; a SIGKILL is the node running out of memory, which says nothing of this file.
      if (ended === 'SIGABRT' || ended === 'SIGTRAP' || ended === 'exit code 134') {
        const message = `the check ran out of its ${bounds.heapMegabytes} MB`
        throw new ModelRefused('TooLarge', message, { file: job.file })
      }
      throw new HansaError('CheckFailed', `the check of ${job.file} ended without an answer (${ended})`)
    }
    if ('reason' in result) throw new ModelRefused(result.reason, result.message, { file: job.file })
  } finally {
    clearTimeout(timer)
    bounds.signal.removeEventListener('abort', kill)
    kill()
  }
}

function parse(answer: string): z.infer<typeof answerSchema> | undefined {
  try {
    return answerSchema.parse(JSON.parse(answer))
  } catch {
    return undefined
  }
}
