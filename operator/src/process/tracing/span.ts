/** One finished span. Attributes are names of objects, counts and times; never a payload, a token, a path or a person's name. */
export type Span = {
  readonly name: string
  readonly kind: 'server' | 'client' | 'internal'
  /** Lower-case hex: 32, 16 and 16 digits. */
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  /** Milliseconds since the epoch, with fractions. */
  readonly startedAt: number
  readonly endedAt: number
  readonly failed: boolean
  readonly attributes: Readonly<Record<string, string | number | boolean | undefined>>
}

export type TraceParent = { readonly traceId: string; readonly spanId: string; readonly isSampled: boolean }

const pattern = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** Reads a `traceparent` that one of our own processes wrote (W3C Trace Context); undefined when it is none. */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  const [, traceId, spanId, flags] = pattern.exec(text ?? '') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
