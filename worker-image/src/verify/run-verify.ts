import type { ModelFile } from '@hansa/operator/api/model.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { hashPrefix } from '../fetch/hash-file.ts'
import { checkModel } from '../model/check-model.ts'
import { defaultDomains } from '../model/limits.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { openOnVolume } from '../pull/pull-volume.ts'
import { reportOf, writeReport } from '../pull/termination.ts'
import type { VerifySettings } from './settings.ts'

/**
 * Checks a model where it lies on a claim, and writes what came of it to the termination log. The answer is the exit code: 0
 * Verified, 1 refused for good, 2 when another try may help.
 */
export async function runVerify(settings: VerifySettings, deps: { log: Logger; signal: AbortSignal }): Promise<number> {
  const { HANSA_MODEL: model, HANSA_SOURCE_DIR: dir, HANSA_ENTRYPOINT: entrypoint } = settings
  const log = deps.log.child({ kind: 'Model', namespace: model.namespace, name: model.name, uid: model.uid })
  try {
    for (const file of model.files) await checkDigest(dir, file, deps.signal)
    await checkModel({
      dir,
      files: model.files,
      format: model.format,
      ...(entrypoint === undefined ? {} : { entrypoint }),
      allowedDomains: [...defaultDomains, ...settings.HANSA_ALLOWED_DOMAINS],
      deadlineMs: settings.HANSA_CHECK_SECONDS * 1000,
      heapMegabytes: settings.HANSA_CHECK_HEAP_MEGABYTES,
      signal: deps.signal,
    })
    const message = `${model.files.length} files have their digests and are safe to load`
    log.info({ reason: 'Verified' }, message)
    await writeReport(settings.HANSA_TERMINATION_LOG, { reason: 'Verified', message }, log)
    return 0
  } catch (error) {
    const report = reportOf(error, 'VolumeUnavailable')
    log.error({ reason: report.reason, file: report.file }, report.message)
    await writeReport(settings.HANSA_TERMINATION_LOG, report, log)
    return error instanceof ModelRefused ? 1 : 2
  }
}

async function checkDigest(dir: string, file: ModelFile, signal: AbortSignal): Promise<void> {
  const { handle, sizeBytes } = await openOnVolume(dir, file.path)
  try {
    if (sizeBytes !== file.sizeBytes) {
      throw new ModelRefused('SizeMismatch', `has ${sizeBytes} bytes, not ${file.sizeBytes}`, { file: file.path })
    }
    const digest = (await hashPrefix(handle, sizeBytes, signal)).digest('hex')
    if (digest !== file.sha256) {
      throw new ModelRefused('DigestMismatch', `has the SHA-256 ${digest}, not ${file.sha256}`, { file: file.path })
    }
  } finally {
    await handle.close()
  }
}
