import { identityConnector } from '@hansa/operator/identity/connector.ts'
import type { Identity } from '@hansa/operator/identity/identity.ts'
import { HansaError } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'
import { Agent } from 'undici'
import { z } from 'zod'
import { identityFrom, identityVariables } from '../fetch/identity-settings.ts'
import { defaultDomains } from '../model/limits.ts'
import { ModelRefused } from '../model/model-refused.ts'
import { type NodeCache, pullBlob } from './pull-blob.ts'
import { pullFromVolume } from './pull-volume.ts'
import type { PullSettings } from './settings.ts'
import { reportOf, writeReport } from './termination.ts'

export type PullDeps = {
  log: Logger
  signal: AbortSignal
  /** Instead of the one that the settings describe. */
  identity?: Identity
}

const identitySettings = z.object(identityVariables)

/**
 * Fills the model folder. The answer is the exit code: 0; 1 when the files must not be used, 2 when another try may help; the
 * reason is in the termination log.
 */
export async function runPull(settings: PullSettings, deps: PullDeps): Promise<number> {
  const model = settings.HANSA_MODEL
  const log = deps.log.child({ kind: 'Model', namespace: model.namespace, name: model.name, uid: model.uid })
  const deadline = AbortSignal.timeout(settings.HANSA_PULL_TIMEOUT_SECONDS * 1000)
  const signal = AbortSignal.any([deps.signal, deadline])
  const started = performance.now()
  try {
    if (settings.HANSA_SOURCE_DIR !== undefined) await fromVolume(settings, settings.HANSA_SOURCE_DIR, signal)
    else await fromFetch(settings, { ...deps, log, signal })
    log.info({ files: model.files.length, seconds: (performance.now() - started) / 1000 }, 'model pulled')
    return 0
  } catch (error) {
    const fallback = settings.HANSA_SOURCE_DIR === undefined ? 'FetchWorkerUnreachable' : 'VolumeUnavailable'
    const report = reportOf(error, fallback)
    log.error({ reason: report.reason, file: report.file }, report.message)
    await writeReport(settings.HANSA_TERMINATION_LOG, report, log)
    return error instanceof ModelRefused ? 1 : 2
  }
}

async function fromVolume(settings: PullSettings, sourceDir: string, signal: AbortSignal): Promise<void> {
  const { HANSA_MODEL: model, HANSA_MODEL_DIR: dir, HANSA_ENTRYPOINT: entrypoint } = settings
  for (const file of model.files) await pullFromVolume(sourceDir, dir, file, signal)
  // Only here: a worker that wakes must not wait for the decoder to load when fetch has checked the files.
  const { checkModel } = await import('../model/check-model.ts')
  // The copy is checked and not the claim, which others may write to meanwhile.
  await checkModel({
    dir,
    files: model.files,
    format: model.format,
    ...(entrypoint === undefined ? {} : { entrypoint }),
    allowedDomains: [...defaultDomains, ...settings.HANSA_ALLOWED_DOMAINS],
    deadlineMs: settings.HANSA_CHECK_SECONDS * 1000,
    heapMegabytes: settings.HANSA_CHECK_HEAP_MEGABYTES,
    signal,
  })
}

async function fromFetch(settings: PullSettings, deps: PullDeps): Promise<void> {
  const { HANSA_FETCH_URL: fetchUrl, HANSA_FETCH_URI: fetchUri } = settings
  if (fetchUrl === undefined || fetchUri === undefined) {
    throw new HansaError('SettingsInvalid', 'HANSA_FETCH_URL and HANSA_FETCH_URI, or HANSA_SOURCE_DIR, must be set')
  }
  const identity = deps.identity ?? (await identityFrom(identitySettings.parse(settings), deps))
  const dispatcher = new Agent({ connect: identityConnector(identity, fetchUri), connections: 2, bodyTimeout: 0 })
  const { HANSA_CACHE_URL: cacheUrl, HANSA_CACHE_URI: cacheUri } = settings
  const cache = cacheUrl === undefined || cacheUri === undefined ? undefined : nodeCache(identity, cacheUrl, cacheUri)
  const shared = { fetchUrl, dispatcher, log: deps.log, signal: deps.signal, ...(cache === undefined ? {} : { cache }) }
  try {
    for (const file of settings.HANSA_MODEL.files) await pullBlob(settings.HANSA_MODEL_DIR, file, shared)
  } finally {
    await Promise.all([dispatcher.destroy(), cache?.dispatcher.destroy()])
    if (deps.identity === undefined) await identity.close()
  }
}

/** On a node without a cache nobody answers; a worker must not wait long to learn that. */
function nodeCache(identity: Identity, url: string, uri: string): NodeCache {
  const connect = identityConnector(identity, uri, { timeoutMilliseconds: 1000 })
  return { url, dispatcher: new Agent({ connect, connections: 2, bodyTimeout: 0 }), usable: true }
}
