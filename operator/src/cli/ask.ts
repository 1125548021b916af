import type { Ask } from './io.ts'

const longestLine = 1_000

/** Asks on a pair of streams; the question goes where results do not go. */
export function askOn(input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Ask {
  return async (question, signal) => {
    output.write(question)
    let text = ''
    signal.throwIfAborted()
    const stop = () => input.pause()
    signal.addEventListener('abort', stop, { once: true })
    try {
      input.setEncoding('utf8')
      for await (const chunk of input) {
        text += String(chunk)
        const end = text.indexOf('\n')
        if (end >= 0) return text.slice(0, Math.min(end, longestLine))
        if (text.length > longestLine) return text.slice(0, longestLine)
      }
      return text === '' ? undefined : text
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }
}
