import { writeFile } from 'node:fs/promises'
import type { ModelReason } from '@hansa/operator/api/model-reasons.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { ModelRefused } from '../model/model-refused.ts'

export type Report = { reason: ModelReason; message: string; file?: string }

// The kubelet keeps the first 4096 bytes, and half a JSON text says nothing.
const longestReport = 4096

/** The JSON text of a report, its message cut until all of it fits into a termination message. */
export function reportText(report: Report): string {
  let { message } = report
  let text = JSON.stringify(report)
  while (Buffer.byteLength(text) > longestReport && message.length > 0) {
    message = message.slice(0, Math.floor(message.length * 0.75))
    text = JSON.stringify({ ...report, message: `${message}...` })
  }
  return text
}

/** What an error means for the Model's condition; `fallback` for those that are not about the model. */
export function reportOf(error: unknown, fallback: ModelReason): Report {
  const file = error instanceof ModelRefused ? error.file : undefined
  // A cast, because HansaErrors of this image that reach here carry reasons of the condition; others get the fallback.
  const known = error instanceof ModelRefused || (error instanceof HansaError && error.name === 'FetchError')
  const reason = known ? (error.reason as ModelReason) : fallback
  return { reason, message: messageOf(error), ...(file === undefined ? {} : { file }) }
}

/** Leaves the report where the kubelet picks it up. A pod without that file must not hide the failure itself. */
export async function writeReport(path: string, report: Report, log: Logger): Promise<void> {
  try {
    await writeFile(path, reportText(report))
  } catch (error) {
    log.warn({ reason: 'TerminationLogNotWritten' }, messageOf(error))
  }
}
