/** A tensor as the protocol's JSON has it. */
export type JsonTensor = { name: string; datatype: string; shape: number[]; data?: unknown; parameters?: object }

export type Answer = { status: number; headers: Headers; json: Record<string, unknown>; binary: Buffer }

type Options = { method?: string; headers?: Record<string, string>; body?: string | Uint8Array; signal?: AbortSignal }

/** One call; the JSON part of the answer parsed, what follows it as bytes. */
export async function call(base: string, path: string, options: Options = {}): Promise<Answer> {
  const { body, headers, method = body === undefined ? 'GET' : 'POST', signal = AbortSignal.timeout(30_000) } = options
  const type = { 'content-type': 'application/json' }
  const init: RequestInit = { method, headers: { ...type, ...headers }, signal }
  // Bytes over plain memory are a fetch body; the type of Uint8Array leaves room for shared memory.
  if (body !== undefined) init.body = body as string | Uint8Array<ArrayBuffer>
  const response = await fetch(base + path, init)
  const bytes = Buffer.from(await response.arrayBuffer())
  const length = Number(response.headers.get('inference-header-content-length') ?? bytes.byteLength)
  const json: unknown = length === 0 ? {} : JSON.parse(bytes.toString('utf8', 0, length))
  // Every answer of the server is a JSON object.
  return {
    status: response.status,
    headers: response.headers,
    json: json as Record<string, unknown>,
    binary: bytes.subarray(length),
  }
}

export const inferPath = '/v2/models/echo/infer'

export function inferJson(
  base: string,
  inputs: readonly JsonTensor[],
  more: object = {},
  options: Options = {},
): Promise<Answer> {
  return call(base, inferPath, { ...options, body: JSON.stringify({ inputs, ...more }) })
}

/** Inference with `data` behind the JSON; inputs that have no `data` of their own must say their `binary_data_size`. */
export function inferBinary(
  base: string,
  request: object,
  data: readonly Uint8Array[],
  options: Options = {},
): Promise<Answer> {
  const head = Buffer.from(JSON.stringify(request))
  return call(base, inferPath, {
    ...options,
    headers: { 'inference-header-content-length': String(head.byteLength), ...options.headers },
    body: Buffer.concat([head, ...data]),
  })
}

/** The outputs of a successful answer. */
export function outputs(answer: Answer): JsonTensor[] {
  if (answer.status !== 200) throw new Error(`status ${answer.status}: ${JSON.stringify(answer.json)}`)
  // The server's answer, whose form the protocol fixes; tests compare the values.
  return answer.json.outputs as JsonTensor[]
}

/** BYTES elements, each behind its 4-byte little-endian length. */
export function framed(...elements: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    elements.flatMap((element) => {
      const bytes = Buffer.from(element)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.byteLength)
      return [length, bytes]
    }),
  )
}
