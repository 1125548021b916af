import type { KubeObject } from '../api/resource.ts'
import { KubeApiError } from './api-error.ts'
import type { WatchEvent, WatchOptions } from './client-types.ts'
import type { Live } from './resource.ts'
import { errorOfStatus } from './status.ts'
import { type Transport, unreachable } from './transport.ts'
import { watchLines } from './watch-lines.ts'

// A watch begins with its headers at once, also where nothing has happened yet.
const startTimeoutSeconds = 15

/** Opens a watch and yields its events until the server ends it. */
export async function* watchEvents<T extends KubeObject>(
  transport: Transport,
  path: string,
  limitBytes: number,
  { signal, onActivity }: Pick<WatchOptions, 'signal' | 'onActivity'>,
): AsyncGenerator<WatchEvent<T>> {
  const request = { method: 'GET' as const, path, signal, timeoutSeconds: startTimeoutSeconds }
  const body = await transport.stream(request)
  onActivity?.()
  const destroy = () => body.destroy()
  signal.addEventListener('abort', destroy, { once: true })
  try {
    for await (const line of watchLines(body, limitBytes, onActivity)) {
      signal.throwIfAborted()
      yield eventOf<T>(line, path)
    }
    signal.throwIfAborted()
  } catch (thrown) {
    if (thrown instanceof KubeApiError) throw thrown
    if (signal.aborted) throw signal.reason
    throw unreachable(thrown, request)
  } finally {
    signal.removeEventListener('abort', destroy)
    destroy()
  }
}

/** One line of a watch; exported for tests. Throws KubeApiError for the server's ERROR and for what makes no sense. */
export function eventOf<T extends KubeObject>(line: string, path: string): WatchEvent<T> {
  const where = `GET ${path.split('?', 1)[0]}`
  let event: { type?: unknown; object?: { metadata?: { resourceVersion?: unknown } } }
  try {
    event = JSON.parse(line)
  } catch (cause) {
    throw new KubeApiError({ reason: 'ApiServerAnswerInvalid', message: `${where}: an event is not JSON`, cause })
  }
  const type = event?.type
  if (type === 'ERROR') throw errorOfStatus(event.object, { where })
  const resourceVersion = event?.object?.metadata?.resourceVersion
  if (typeof resourceVersion === 'string') {
    if (type === 'BOOKMARK') return { type, resourceVersion }
    // The path names the kind, so the server sends that kind; its fields are the server's word.
    if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') return { type, object: event.object as Live<T> }
  }
  throw new KubeApiError({ reason: 'ApiServerAnswerInvalid', message: `${where}: an event makes no sense` })
}
