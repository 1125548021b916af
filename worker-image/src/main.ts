import { parseEnv } from '@hansa/operator/process/env.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import { createLogger, type Logger } from '@hansa/operator/process/log.ts'
import { onShutdown } from '@hansa/operator/process/shutdown.ts'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { z } from 'zod'
import { identityFrom, identityVariables } from './fetch/identity-settings.ts'

const help = `usage: main.ts fetch | cache | pull | verify | serve

fetch    gets the files of Models, checks them and serves them by digest; the only one that reaches outside
cache    keeps files that fetch serves on a node, for the workers there
pull     puts the files of one Model into a worker's folder, checked
verify   checks a Model on a PersistentVolumeClaim
serve    runs one model on ONNX Runtime behind the Open Inference Protocol

Settings are environment variables; docs/settings.md lists them.`

type Running = { close(): Promise<void>; leaseEnded?: Promise<void> }
type Start = (log: Logger, registry: Registry, signal: AbortSignal) => Promise<Running | number>

const starts: Record<string, Start> = {
  fetch: async (log, registry, signal) => {
    const { startFetch } = await import('./fetch/start-fetch.ts')
    const { fetchSettings } = await import('./fetch/settings.ts')
    return startFetch(fetchSettings(process.env), { log, signal, metrics: registry })
  },
  cache: async (log, registry, signal) => {
    const { startCache } = await import('./cache/start-cache.ts')
    const { cacheSettings } = await import('./cache/settings.ts')
    return startCache(cacheSettings(process.env), { log, signal, registry })
  },
  pull: async (log, _registry, signal) => {
    const { runPull } = await import('./pull/run-pull.ts')
    const { pullSettings } = await import('./pull/settings.ts')
    return runPull(pullSettings(process.env), { log, signal })
  },
  verify: async (log, _registry, signal) => {
    const { runVerify } = await import('./verify/run-verify.ts')
    const { verifySettings } = await import('./verify/settings.ts')
    return runVerify(verifySettings(process.env), { log, signal })
  },
  serve: async (log, registry, signal) => {
    const { startServe } = await import('./serve/start-serve.ts')
    const { serveSettings } = await import('./serve/settings.ts')
    const settings = serveSettings(process.env)
    const identity =
      settings.gatewayUri === undefined
        ? undefined
        : await identityFrom(parseEnv(z.object(identityVariables), process.env), { log, signal })
    return startServe(settings, { log, registry, identity, signal })
  },
}

async function run(name: string, start: Start): Promise<void> {
  const log = createLogger(name, process.env.HANSA_LOG_LEVEL)
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  // What a process that is told to stop while it starts has to close is not known yet; its signal ends the start.
  let running: Running | undefined
  const stopping = onShutdown(log, async () => running?.close(), { graceSeconds: 3600 })
  try {
    const started = await start(log, registry, stopping)
    if (typeof started === 'number') process.exit(started)
    running = started
    if (started.leaseEnded === undefined) return
    await started.leaseEnded
    log.info('the lease is over and all requests have ended')
    // A shutdown that is under way exits itself.
    if (!stopping.aborted) process.exit(0)
  } catch (error) {
    if (stopping.aborted) return
    log.fatal(
      {
        reason: error instanceof HansaError ? error.reason : 'Failed',
        hint: error instanceof HansaError ? error.hint : undefined,
      },
      messageOf(error),
    )
    process.exit(1)
  }
}

const [name = ''] = process.argv.slice(2)
const start = starts[name]
if (start === undefined) {
  console.error(help)
  process.exitCode = 2
} else {
  await run(name, start)
}
