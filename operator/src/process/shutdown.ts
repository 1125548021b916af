import { messageOf } from './errors.ts'
import type { Logger } from './log.ts'

export type ShutdownOptions = {
  /** How long draining may take before the process exits 1; keep it below the pod's terminationGracePeriodSeconds. */
  graceSeconds?: number
  signals?: NodeJS.EventEmitter
  exit?: (code: number) => void
}

/**
 * Runs `drain` once on SIGTERM or SIGINT, then exits 0 (1 when it failed, or the grace period passed, at which its signal
 * aborts). A second SIGINT exits at once. The returned signal aborts as draining begins.
 */
export function onShutdown(
  log: Logger,
  drain: (signal: AbortSignal) => Promise<void>,
  options: ShutdownOptions = {},
): AbortSignal {
  const { graceSeconds = 25, signals = process, exit = (code) => process.exit(code) } = options
  const stopping = new AbortController()
  const begin = (name: string) => {
    if (!stopping.signal.aborted) void run(name)
    else if (name === 'SIGINT') exit(130)
  }

  async function run(name: string): Promise<void> {
    log.info({ signal: name, graceSeconds }, 'shutting down')
    const overdue = new AbortController()
    const timer = setTimeout(() => {
      log.error({ graceSeconds }, 'draining took too long')
      overdue.abort()
      exit(1)
    }, graceSeconds * 1000)
    stopping.abort()
    try {
      await drain(overdue.signal)
      if (overdue.signal.aborted) return
      log.info('shut down')
      exit(0)
    } catch (error) {
      log.error({ error: messageOf(error) }, 'draining failed')
      exit(1)
    } finally {
      clearTimeout(timer)
    }
  }

  signals.on('SIGTERM', () => begin('SIGTERM'))
  signals.on('SIGINT', () => begin('SIGINT'))
  return stopping.signal
}
