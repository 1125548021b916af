import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

export type ReceivedSpan = {
  service: string
  name: string
  kind: string
  traceId: string
  spanId: string
  parentSpanId: string
  failed: boolean
  milliseconds: number
  attributes: Record<string, string | number | boolean>
}

export type OtlpReceiver = {
  /** Base address, as users set it. */
  url: string
  spans: ReceivedSpan[]
  /** Bodies as they came, to look for what must not be in them. */
  bodies: Buffer[]
  /** What it answers; 200 takes spans. */
  status: number
  close(): Promise<void>
}

type KeyValue = { key: string; value: Record<string, string | number | boolean> }
type Decoded = {
  resourceSpans: {
    resource: { attributes: KeyValue[] }
    scopeSpans: {
      spans: {
        traceId: string
        spanId: string
        parentSpanId?: string
        name: string
        kind: string
        startTimeUnixNano: string
        endTimeUnixNano: string
        attributes?: KeyValue[]
        status?: { code?: string }
      }[]
    }[]
  }[]
}

/** A small receiver of OTLP over HTTP in protobuf, which decodes by the published schema. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const root = await protobuf.load(fileURLToPath(new URL('./otlp.proto', import.meta.url)))
  const message = root.lookupType('otlp.ExportTraceServiceRequest')
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const ok =
        receiver.status === 200 &&
        request.method === 'POST' &&
        request.url === '/v1/traces' &&
        request.headers['content-type'] === 'application/x-protobuf'
      const body = Buffer.concat(chunks)
      if (ok) {
        receiver.bodies.push(body)
        // bytes as base64 and 64-bit numbers as text: the shape is that of the schema above.
        const decoded = message.toObject(message.decode(body), {
          bytes: String,
          longs: String,
          enums: String,
        }) as Decoded
        receiver.spans.push(...spansOf(decoded))
      }
      response.writeHead(ok ? 200 : receiver.status === 200 ? 400 : receiver.status).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const receiver: OtlpReceiver = {
    // A TCP listener has an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    bodies: [],
    status: 200,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return receiver
}

function spansOf({ resourceSpans }: Decoded): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service: String(attributesOf(resource.attributes)['service.name']),
        name: span.name,
        kind: span.kind,
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId ?? ''),
        failed: span.status?.code === 'STATUS_CODE_ERROR',
        milliseconds: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
        attributes: attributesOf(span.attributes ?? []),
      })),
    ),
  )
}

function attributesOf(list: readonly KeyValue[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    list.map(({ key, value }) => {
      const [only = ''] = Object.values(value)
      return [key, 'intValue' in value ? Number(only) : only]
    }),
  )
}

function hex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex')
}
