import { type OnnxType, onnxModel } from '../../builders/onnx-model.ts'
import { startWorker, type TestWorker } from '../../integration/serve/worker.ts'
import type { Observed, Started } from '../case.ts'
import { type RawAnswer, sendRaw } from './raw-http.ts'

export type WorkerContext = { readonly worker: TestWorker; readonly host: string; readonly port: number }

const types: Record<string, OnnxType> = { f: 'FP32', h: 'FP16', i: 'INT64', u: 'UINT8', b: 'BOOL', s: 'BYTES' }

/** The inputs of a request that is right in everything: one of each kind, `f` and `h` of shape [n,2], the others [n]. */
export function validInputs(): Record<string, Record<string, unknown>> {
  return {
    f: { name: 'f', datatype: 'FP32', shape: [2, 2], data: [1, 2, 3, 4] },
    h: { name: 'h', datatype: 'FP16', shape: [1, 2], data: [0.5, 1] },
    i: { name: 'i', datatype: 'INT64', shape: [2], data: [1, 2] },
    u: { name: 'u', datatype: 'UINT8', shape: [1], data: [255] },
    b: { name: 'b', datatype: 'BOOL', shape: [1], data: [true] },
    s: { name: 's', datatype: 'BYTES', shape: [1], data: ['a'] },
  }
}

function model(): Uint8Array {
  const names = Object.entries(types)
  const shape = (name: string) => (name === 'f' || name === 'h' ? [`${name}0`, 2] : [`${name}0`])
  return onnxModel({
    nodes: names.map(([name]) => ({ op: 'Identity', inputs: [name], outputs: [`${name}Out`] })),
    inputs: names.map(([name, type]) => ({ name, type, shape: shape(name) })),
    outputs: names.map(([name, type]) => ({ name: `${name}Out`, type, shape: shape(name) })),
  })
}

/** A worker with small limits; after each case it must still be ready, with the same session process, and answer a good request. */
export async function startWorkerTarget(): Promise<Started<WorkerContext>> {
  const worker = await startWorker(model(), {
    limits: { requestBytes: 2 << 20, responseBytes: 2 << 20 },
    timeouts: { requestSeconds: 3 },
  })
  const { hostname: host, port } = new URL(worker.url)
  const context = { worker, host, port: Number(port) }
  const pids = worker.sessionPids().join()
  return {
    context,
    alive: async (signal) => {
      if (worker.sessionPids().join() !== pids) return 'the session process was started again'
      const { status, body } = await post(context, JSON.stringify({ inputs: Object.values(validInputs()) }), {}, signal)
      return status === 200 ? undefined : `a good request is answered ${status}: ${body}`
    },
    stop: () => worker.close(),
  }
}

/** Posts a body to the infer path by a connection of its own; a header given as undefined is left out. */
export function post(
  context: WorkerContext,
  body: string | Uint8Array,
  headers: Record<string, string | undefined>,
  signal: AbortSignal,
  target = 'POST /v2/models/echo/infer',
): Promise<RawAnswer> {
  const bytes = Buffer.from(body)
  const all = {
    host: 'worker',
    connection: 'close',
    'content-type': 'application/json',
    'content-length': String(bytes.byteLength),
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  const head = Buffer.from(`${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return sendRaw(context, Buffer.concat([head, bytes]), signal)
}

/** Reads an answer as the outcome of a case; 500 and a body without `error` count as a crash. */
export function observed({ status, body }: RawAnswer): Observed {
  if (status === 200) return { outcome: 'accepted', detail: body.slice(0, 200) }
  if (status === undefined) return { outcome: 'crashed', detail: 'the connection ended without an answer' }
  const message = errorOf(body)
  if (message === undefined)
    return { outcome: 'crashed', detail: `status ${status} without an error: ${body.slice(0, 200)}` }
  if (status === 500) return { outcome: 'crashed', detail: `status 500: ${message}` }
  return { outcome: 'refused', status, message }
}

function errorOf(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: unknown } // Anything but an object with a string makes the case fail.
    // Below /v1 errors have OpenAI's form.
    const text = typeof error === 'object' && error !== null && 'message' in error ? error.message : error
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined // No JSON: the caller reports the body.
  }
}
