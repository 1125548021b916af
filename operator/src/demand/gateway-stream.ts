import type { Readable } from 'node:stream'
import { type Dispatcher, request } from 'undici'
import { type DemandReport, demandReportSchema } from '../gateway/demand/demand-report.ts'
import { watchLines } from '../kube/watch-lines.ts'
import { HansaError, messageOf } from '../process/errors.ts'

/** Where gateways report. */
export const demandPort = 8445
// 10,000 services with a few revisions each.
const maxLineBytes = 32 * 1024 * 1024
const connectMilliseconds = 5_000
// Reports come every second.
const silenceMilliseconds = 10_000

/**
 * Reads one gateway's reports until the stream ends, which it does by an error of reason `GatewaySilent`, `GatewayRefused` or
 * `GatewayReportInvalid`, or quietly when the gateway closes it.
 */
export async function readReports(
  origin: string,
  dispatcher: Dispatcher,
  take: (report: DemandReport) => void,
  signal: AbortSignal,
): Promise<void> {
  const { statusCode, body } = await request(`${origin}/v1/demand`, {
    dispatcher,
    signal,
    headersTimeout: connectMilliseconds,
    bodyTimeout: silenceMilliseconds,
  }).catch((thrown: unknown) => {
    throw new HansaError('GatewaySilent', `the gateway at ${origin} does not answer: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  })
  try {
    if (statusCode !== 200) throw new HansaError('GatewayRefused', `the gateway at ${origin} answers ${statusCode}`)
    for await (const line of lines(body)) take(parse(line, origin))
  } finally {
    // Ends the connection: there is nothing else to ask for on it.
    body.destroy()
  }
}

async function* lines(body: Readable): AsyncGenerator<string> {
  try {
    yield* watchLines(body, maxLineBytes)
  } catch (thrown) {
    throw new HansaError('GatewaySilent', `the gateway's reports broke off: ${messageOf(thrown)}`, { cause: thrown })
  }
}

function parse(line: string, origin: string): DemandReport {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new HansaError('GatewayReportInvalid', `the gateway at ${origin} sent a line that is not JSON`)
  }
  const parsed = demandReportSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new HansaError(
    'GatewayReportInvalid',
    `the gateway at ${origin} sent a report that does not fit: ${issue?.path.join('.')}: ${issue?.message}`,
  )
}
