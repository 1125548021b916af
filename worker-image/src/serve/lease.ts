import { open } from 'node:fs/promises'
import { LeaseDeadline } from '@hansa/operator/guestlease/deadline.ts'
import { type GuestLease, maxLeaseBytes, parseLease } from '@hansa/operator/guestlease/lease.ts'
import type { Clock } from '@hansa/operator/kube/clock.ts'
import { HansaError, messageOf } from '@hansa/operator/process/errors.ts'
import type { Logger } from '@hansa/operator/process/log.ts'

const pollMilliseconds = 1000

/** The lease of a guest's worker as the worker itself enforces it. */
export type LeaseWatch = {
  /** Resolves when there is a lease that is not over. */
  readonly begun: Promise<void>
  /** Aborts at the end of the lease, with a HansaError (LeaseEnded), and for good: only a new process takes another lease. */
  readonly ended: AbortSignal
  /** Milliseconds that are left. */
  left(): number
  stop(): void
}

/** Reads the lease's file each second and keeps its deadline by the monotonic clock; a file that went away extends nothing. */
export function watchLease(
  file: string,
  deps: { clock: Clock; log: Logger; read?: (file: string) => Promise<GuestLease | undefined> },
): LeaseWatch {
  const { clock, log, read = (path) => readLease(path, log) } = deps
  const deadline = new LeaseDeadline(clock)
  const begun = Promise.withResolvers<void>()
  const ended = new AbortController()
  let cancel: (() => void) | undefined
  let stopped = false
  let hasBegun = false

  async function poll(): Promise<void> {
    // The deadline is looked at first: a renewal that comes after the end is too late.
    if (isOver()) return end()
    deadline.see(await read(file))
    if (stopped) return
    if (isOver()) return end()
    if (deadline.left > 0 && !hasBegun) {
      hasBegun = true
      log.info({ epoch: deadline.epoch, seconds: deadline.left / 1000 }, 'the lease has begun')
      begun.resolve()
    }
    cancel = clock.after(hasBegun ? Math.min(pollMilliseconds, deadline.left) : pollMilliseconds, start)
  }

  function isOver(): boolean {
    return hasBegun && deadline.left === 0
  }

  function end(): void {
    log.warn({ epoch: deadline.epoch }, 'the lease is over')
    ended.abort(
      new HansaError('LeaseEnded', `the lease of epoch ${deadline.epoch} is over`, {
        retry: 'never',
        hint: 'the owner of this cluster ended it, or the connection to the owner that asked was lost; see its GuestWork',
      }),
    )
  }

  function start(): void {
    poll().catch((error: unknown) => {
      log.error({ error: messageOf(error) }, 'the lease cannot be read')
      if (!stopped) cancel = clock.after(Math.min(pollMilliseconds, deadline.left || pollMilliseconds), start)
    })
  }

  start()
  return {
    begun: begun.promise,
    ended: ended.signal,
    left: () => deadline.left,
    stop: () => {
      stopped = true
      cancel?.()
    },
  }
}

/** Undefined when there is no readable lease now; at most `maxLeaseBytes` are read. */
async function readLease(file: string, log: Logger): Promise<GuestLease | undefined> {
  try {
    await using handle = await open(file, 'r')
    const buffer = Buffer.alloc(maxLeaseBytes + 1)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
    return parseLease(buffer.toString('utf8', 0, bytesRead))
  } catch (error) {
    log.debug({ error: messageOf(error) }, 'there is no file of the lease')
    return undefined
  }
}
