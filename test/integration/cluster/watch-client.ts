import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'

export interface WatchEvent {
  readonly type: string
  readonly object: { readonly metadata?: { readonly name?: string }; readonly code?: number }
}

/** A watch as the simplest of clients sees it: what came, and whether it is over. */
export interface ClientWatch {
  readonly events: readonly WatchEvent[]
  /** Names of the objects in the events, bookmarks left out. */
  names(): string[]
  /** 'open', 'ended' properly, or 'broken'. */
  readonly state: 'open' | 'ended' | 'broken'
  close(): void
}

export interface WatchTarget {
  readonly url: string
  readonly caPem: string
  readonly token: string
  readonly path: string
}

/** Opens a watch and resolves when its headers are there. */
export async function openWatch({ url, caPem, token, path }: WatchTarget): Promise<ClientWatch> {
  const headers = { authorization: `Bearer ${token}`, 'user-agent': 'watch-client' }
  const request = httpsRequest(new URL(path, url), { agent: false, ca: caPem, headers })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const events: WatchEvent[] = []
  let state: ClientWatch['state'] = 'open'
  let rest = ''
  request.on('error', () => undefined)
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    events.push(...lines.map((line) => JSON.parse(line) as WatchEvent))
  })
  response.once('end', () => {
    state = 'ended'
  })
  response.once('error', () => {
    state = 'broken'
  })
  return {
    events,
    names: () => events.filter(({ type }) => type !== 'BOOKMARK').map(({ object }) => object.metadata?.name ?? ''),
    get state() {
      return state
    },
    close: () => request.destroy(),
  }
}
