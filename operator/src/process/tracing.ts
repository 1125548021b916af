import { Counter, type Registry } from 'prom-client'
import { z } from 'zod'
import type { Logger } from './log.ts'
import { readOtlpEndpoint } from './tracing/otlp-endpoint.ts'
import type { Span } from './tracing/span.ts'
import { SpanQueue } from './tracing/span-queue.ts'

/** Takes finished spans; never fails and never waits. */
export type Tracing = {
  record(span: Span): void
  /** Sends what is queued, within two seconds. */
  close(): Promise<void>
}

/** `HANSA_OTLP_ENDPOINT` in a process's settings. */
export const otlpEndpoint = z
  .string()
  .max(2048)
  .transform((text, context) => {
    const read = readOtlpEndpoint(text)
    if ('url' in read) return read.url
    context.addIssue(read.problem)
    return z.NEVER
  })

/** `HANSA_TRACE_SAMPLE` in a process's settings: share of new traces that are recorded. */
export const traceSample = z.coerce.number().min(0).max(1).default(0.01)

const closeMs = 2_000

/**
 * Starts sending spans to an OTLP/HTTP receiver. `service` becomes `service.name`. Failures to export are counted and logged once
 * until an export works again; they never reach a request.
 */
export async function startTracing(
  options: { endpoint: string; service: string; instance: string; namespace: string },
  deps: { log: Logger; registry: Registry },
): Promise<Tracing> {
  const { log, registry } = deps
  const { createOtlpExporter } = await import('./tracing/otlp-exporter.ts')
  const exporter = createOtlpExporter(options.endpoint, {
    'service.name': options.service,
    'service.instance.id': options.instance,
    'k8s.pod.name': options.instance,
    'k8s.namespace.name': options.namespace,
  })
  const dropped = new Counter({
    name: 'hansa_trace_spans_dropped_total',
    help: 'Spans that were not sent.',
    labelNames: ['reason'],
    registers: [registry],
  })
  for (const reason of ['QueueFull', 'ExportFailed']) dropped.inc({ reason }, 0)
  let isFailing = false
  const queue = new SpanQueue({
    send: async (spans) => {
      const sent = await exporter.send(spans)
      if (!sent && !isFailing) log.warn('spans cannot be sent to the receiver of traces')
      isFailing = !sent
      return sent
    },
    after: (milliseconds, call) => {
      const timer = setTimeout(call, milliseconds).unref()
      return () => clearTimeout(timer)
    },
    onDropped: (reason, count) => dropped.inc({ reason }, count),
  })
  return {
    record: (span) => queue.add(span),
    close: async () => {
      const timeUp = Promise.withResolvers<void>()
      const timer = setTimeout(timeUp.resolve, closeMs)
      await Promise.race([queue.flush().then(() => exporter.close()), timeUp.promise])
      clearTimeout(timer)
    },
  }
}
