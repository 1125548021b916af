import { type SpanContext, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Span } from './span.ts'

export type OtlpExporter = { send(spans: readonly Span[]): Promise<boolean>; close(): Promise<void> }

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL }
const sampled = 1
const timeoutMillis = 5_000

/** Sends spans by OTLP/HTTP in protobuf. This module alone loads OpenTelemetry, so that a process without traces never does. */
export function createOtlpExporter(url: string, attributes: Record<string, string>): OtlpExporter {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis, concurrencyLimit: 1 })
  const resource = resourceFromAttributes(attributes)
  const instrumentationScope = { name: 'hansa' }

  function readable(span: Span): ReadableSpan {
    const context = (spanId: string): SpanContext => ({ traceId: span.traceId, spanId, traceFlags: sampled })
    const own = context(span.spanId)
    return {
      name: span.name,
      kind: kinds[span.kind],
      spanContext: () => own,
      ...(span.parentSpanId !== undefined && { parentSpanContext: context(span.parentSpanId) }),
      startTime: hrTime(span.startedAt),
      endTime: hrTime(span.endedAt),
      duration: hrTime(span.endedAt - span.startedAt),
      status: { code: span.failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes: { ...span.attributes },
      links: [],
      events: [],
      ended: true,
      resource,
      instrumentationScope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    }
  }

  return {
    // 0 is ExportResultCode.SUCCESS.
    send: (spans) => new Promise((resolve) => exporter.export(spans.map(readable), ({ code }) => resolve(code === 0))),
    close: () => exporter.shutdown(),
  }
}

/** Seconds and nanoseconds, as OpenTelemetry has times. */
function hrTime(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000)
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)]
}
