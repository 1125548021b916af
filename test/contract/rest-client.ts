import { type Agent, request } from 'undici'

export type RestAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The JSON of the answer; undefined without a body. 64-bit integers are exact. */
  readonly json: unknown
  readonly binary: Uint8Array
}

/** One call by undici, which knows nothing of the protocol. */
export async function restCall(
  url: string,
  agent: Agent,
  call: { method: string; headers: Readonly<Record<string, string>>; body: string | Uint8Array | undefined },
): Promise<RestAnswer> {
  const answer = await request(url, {
    // The table has methods that undici takes and its type does not name.
    method: call.method as 'GET',
    headers: call.headers,
    body: call.body === undefined ? null : typeof call.body === 'string' ? call.body : Buffer.from(call.body),
    dispatcher: agent,
    signal: AbortSignal.timeout(30_000),
  })
  const bytes = Buffer.from(await answer.body.arrayBuffer())
  const headers = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
  const length = Number(headers['inference-header-content-length'] ?? bytes.byteLength)
  return {
    status: answer.statusCode,
    headers,
    json: length === 0 ? undefined : exactJson(bytes.toString('utf8', 0, length)),
    binary: bytes.subarray(length),
  }
}

function exactJson(text: string): unknown {
  const revive = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? BigInt(context?.source ?? 0)
      : value
  return JSON.parse(text, revive)
}
