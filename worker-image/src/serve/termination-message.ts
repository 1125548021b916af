import { writeFile } from 'node:fs/promises'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'

/** The kubelet keeps 4096 bytes of it. */
const maxMessage = 2048

/** Writes `{reason, message}` for the operator, which copies it into a condition. A file that cannot be written is only logged. */
export async function writeTerminationMessage(path: string, error: unknown, log: Logger): Promise<void> {
  const reason = error instanceof HansaError ? error.reason : 'ModelLoadFailed'
  try {
    await writeFile(path, JSON.stringify({ reason, message: messageOf(error).slice(0, maxMessage) }))
  } catch (cause) {
    log.warn({ error: messageOf(cause) }, 'cannot write the termination message')
  }
}
