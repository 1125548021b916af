import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** JSON lines on stdout; callers add the fixed fields (`cluster, kind, namespace, name, uid, generation, reconcileId`) with `child`. */
export function createLogger(process: string, level = 'info'): Logger {
  return pino({
    level,
    base: { process },
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: ['token', 'password', 'authorization', 'headers.authorization', '*.token', '*.password'],
      remove: true,
    },
  })
}
