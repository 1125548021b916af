import { once } from 'node:events'
import type { Socket } from 'node:net'

/** Waits for the event; rejects when the socket fails or closes, or the signal aborts, before. */
export async function untilEvent(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  const settled = new AbortController()
  const closed = once(socket, 'close', { signal: settled.signal }).then(() => {
    throw new Error('the connection was closed')
  })
  // `once` rejects by itself on 'error'.
  const happened = once(socket, event, { signal: AbortSignal.any([signal, settled.signal]) })
  closed.catch(() => undefined)
  happened.catch(() => undefined)
  try {
    await Promise.race([happened, closed])
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw error
  } finally {
    settled.abort()
  }
}
