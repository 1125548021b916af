import { elementBytes } from '../datatype.ts'
import type { Signature, Tensor } from '../tensor.ts'
import type { CodecThreads } from './codec-threads.ts'
import { decodeJson, type JsonRequest } from './decode-json.ts'
import { encodeData } from './encode-data.ts'

/** Turns JSON into tensors and back, off the event loop where it would take long. */
export type Codec = {
  decode(json: Uint8Array, signal: AbortSignal): Promise<JsonRequest>
  /** The tensor's data as JSON text; at most `maxBytes` of it. */
  encode(tensor: Tensor, maxBytes: number, signal: AbortSignal): Promise<readonly Uint8Array[]>
}

/** JSON above this is handled by a codec thread: it takes a few hundred microseconds, a handing over costs about fifty. */
export const inlineBytes = 64 * 1024
const inlineElements = 8192

export function createCodec(deps: { signature: Signature; maxElements: number; threads: CodecThreads }): Codec {
  const { signature, maxElements, threads } = deps
  return {
    decode: async (json, signal) =>
      json.byteLength <= inlineBytes
        ? decodeJson(json, signature, maxElements)
        : await threads.decode(json, signature, maxElements, signal),
    encode: async (tensor, maxBytes, signal) =>
      tensor.byteLength / (elementBytes[tensor.datatype] ?? 8) <= inlineElements && tensor.byteLength <= inlineBytes
        ? encodeData(tensor, maxBytes)
        : await threads.encode(tensor, maxBytes, signal),
  }
}
