import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'
import type { RequestFacts } from './request-facts.ts'
import { expired } from './status-answer.ts'

/** A watch that is open now; a test may break it at any moment. */
export interface OpenWatch {
  readonly facts: RequestFacts
  /** Events that came from the API server, bookmarks left out. */
  readonly events: number
  readonly silent: boolean
  /** Half-open from now on: the connection stays and no byte comes. */
  silence(): void
  /** Breaks the connection. */
  drop(): void
  /** Ends it with an ERROR event of code 410. */
  expire(): void
  /** Loses the n-th event from now on, by default the next. */
  swallow(nth?: number): void
  /** Holds back every event for so long from now on. */
  delay(milliseconds: number): void
}

export interface WatchOptions {
  readonly facts: RequestFacts
  readonly upstream: IncomingMessage
  readonly client: ServerResponse
  readonly fault: Fault | undefined
}

/**
 * Relays a watch event by event.
 *
 * Events can be told apart in JSON only; of any other encoding a watch is relayed as it comes, and faults that count events
 * do not count.
 */
export function relayWatch({ facts, upstream, client, fault }: WatchOptions): OpenWatch {
  const isJson = String(upstream.headers['content-type'] ?? '').startsWith('application/json')
  let events = 0
  let silent = false
  let over = false
  let delayMilliseconds = 0
  const swallowed = new Set<number>()
  let rest: Buffer = Buffer.alloc(0)
  let deliveries = Promise.resolve()

  function deliver(bytes: Buffer): void {
    const due = Date.now() + delayMilliseconds
    deliveries = deliveries.then(async () => {
      const wait = due - Date.now()
      if (wait > 0) await sleep(wait)
      if (silent || client.destroyed || client.writableEnded) return
      // Only what has left this process survives a drop.
      await new Promise<void>((resolve) => client.write(bytes, () => resolve()))
    })
  }

  const watch: OpenWatch = {
    facts,
    get events() {
      return events
    },
    get silent() {
      return silent
    },
    silence() {
      silent = true
    },
    drop() {
      over = true
      upstream.destroy()
      client.socket?.destroy()
    },
    expire() {
      over = true
      deliver(Buffer.from(`${JSON.stringify({ type: 'ERROR', object: expired })}\n`))
      upstream.destroy()
      void deliveries.then(() => client.end())
    },
    swallow(nth = 1) {
      swallowed.add(events + nth)
    },
    delay(milliseconds) {
      delayMilliseconds = milliseconds
    },
  }

  function breakNow(): void {
    const after = fault && 'afterEvents' in fault ? (fault.afterEvents ?? 0) : 0
    if (events < after) return
    // What came before must arrive, so the break waits for its turn.
    if (fault?.type === 'Silence') void deliveries.then(() => watch.silence())
    if (fault?.type === 'DropWatch') void deliveries.then(() => watch.drop())
    if (fault?.type === 'ExpireWatch') watch.expire()
  }

  function onEvent(line: Buffer): void {
    if (over) return
    const isBookmark = line.subarray(0, 40).includes('"BOOKMARK"')
    if (!isBookmark) events++
    if (isBookmark || !swallowed.delete(events)) deliver(line)
    if (!isBookmark) breakNow()
  }

  function onData(chunk: Buffer): void {
    if (!isJson) {
      deliver(chunk)
      return
    }
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      const line = rest.subarray(0, end + 1)
      rest = rest.subarray(end + 1)
      onEvent(line)
    }
  }

  if (fault?.type === 'Delay') watch.delay(fault.milliseconds)
  if (fault?.type === 'SwallowEvent') watch.swallow(fault.nth)
  upstream.on('data', onData)
  upstream.once('end', () => void deliveries.then(() => !silent && client.end()))
  // The API server went away in the middle of the stream.
  upstream.once('error', () => !silent && !over && client.socket?.destroy())
  client.once('close', () => upstream.destroy())
  breakNow()
  return watch
}
