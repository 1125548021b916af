import { type Io, plain } from '../io.ts'
import { bytesText } from '../output.ts'
import type { Progress } from './source-file.ts'

const intervalMilliseconds = { terminal: 200, log: 10_000 }

/** Shows progress on stderr: one line that changes on a terminal, a line now and then elsewhere. */
export function progressLine(io: Io): { show(progress: Progress): void; end(): void } {
  let shownAt = Number.NEGATIVE_INFINITY
  let path = ''
  let since = io.now()
  return {
    show(progress) {
      const now = io.now()
      if (progress.path !== path) {
        path = progress.path
        since = now
        shownAt = io.terminal ? Number.NEGATIVE_INFINITY : now
      }
      const done = progress.bytes === progress.total
      if (!done && now - shownAt < (io.terminal ? intervalMilliseconds.terminal : intervalMilliseconds.log)) return
      shownAt = now
      const of = progress.total === undefined ? '' : ` of ${bytesText(progress.total)}`
      const rate = now > since ? `, ${bytesText(Math.round((progress.bytes * 1000) / (now - since)))}/s` : ''
      const line = `${plain(progress.path)}: ${bytesText(progress.bytes)}${of}${rate}`
      io.err(io.terminal ? `\r\u001b[K${line.slice(0, io.width - 1)}` : `${line}\n`)
    },
    end() {
      if (io.terminal) io.err('\r\u001b[K')
    },
  }
}
