import { randomFillSync } from 'node:crypto'

export type TraceContext = {
  traceId: string
  traceparent: string
  tracestate: string | undefined
  /** The caller's span; undefined where the trace begins here. */
  parentId?: string
}

// version 00; higher versions may add fields after the flags (W3C Trace Context, section 3.2.4).
const traceparentPattern = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const tracestatePattern = /^[\x20-\x7e\t]{1,512}$/
const requestIdPattern = /^[A-Za-z0-9._~:@+/=-]{1,128}$/
const zeros = /^0+$/

/**
 * Continues a valid `traceparent` with a span of our own and the caller's decision whether to record, else starts a trace, which
 * `sampleNew` has recorded or not (W3C Trace Context).
 */
export function continueTrace(
  traceparent: string | undefined,
  tracestate: string | undefined,
  randomHex: (bytes: number) => string,
  sampleNew: () => boolean = () => true,
): TraceContext {
  const match = traceparent === undefined ? null : traceparentPattern.exec(traceparent)
  const [, version, traceId, parentId, flags, rest] = match ?? []
  if (
    traceId === undefined ||
    parentId === undefined ||
    flags === undefined ||
    zeros.test(traceId) ||
    zeros.test(parentId) ||
    (version === '00' && rest !== undefined)
  ) {
    const fresh = randomHex(16)
    return {
      traceId: fresh,
      traceparent: `00-${fresh}-${randomHex(8)}-${sampleNew() ? '01' : '00'}`,
      tracestate: undefined,
    }
  }
  return {
    traceId,
    traceparent: `00-${traceId}-${randomHex(8)}-${flags}`,
    parentId,
    tracestate: tracestate !== undefined && tracestatePattern.test(tracestate) ? tracestate : undefined,
  }
}

/** The user's request id when it is short and plain, else a new one. */
export function requestIdFrom(value: string | undefined, randomHex: (bytes: number) => string): string {
  return value !== undefined && requestIdPattern.test(value) ? value : randomHex(16)
}

/** Random hex digits from a pool that is refilled every few hundred calls: asking the kernel for each would cost more than the rest. */
export function createRandomHex(): (bytes: number) => string {
  const pool = Buffer.alloc(4096)
  let used = pool.length
  return (bytes) => {
    if (used + bytes > pool.length) {
      randomFillSync(pool)
      used = 0
    }
    used += bytes
    return pool.toString('hex', used - bytes, used)
  }
}
