import type { ServerResponse } from 'node:http'

/** A client that takes nothing of an answer for this long, or all of it in more than the second, is cut off. */
const stallMs = 10_000
const totalMs = 60_000

/** Resolves when an ended response has left for the socket or the connection is gone, so that a shutdown waits for it. */
export function sent(response: ServerResponse): Promise<void> {
  if (response.writableFinished || response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const cut = () => response.destroy()
    const total = setTimeout(cut, totalMs)
    response.setTimeout(stallMs, cut)
    const done = () => {
      clearTimeout(total)
      response.off('finish', done).off('close', done)
      response.setTimeout(0)
      resolve()
    }
    response.once('finish', done).once('close', done)
  })
}
