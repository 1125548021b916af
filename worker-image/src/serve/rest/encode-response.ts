import type { Tensor } from '../tensor.ts'
import type { Codec } from './codec.ts'
import type { OutputForm } from './decode-json.ts'
import { tooLarge } from './encode-data.ts'

export type EncodedResponse = {
  readonly pieces: readonly Uint8Array[]
  readonly byteLength: number
  /** Length of the JSON in front of binary data; undefined when all is JSON. */
  readonly jsonLength: number | undefined
}

/** Builds the body of a successful inference; binary outputs are handed on as the pieces in which they came. */
export async function encodeResponse(
  answer: { model: string; version: string; id: string | undefined; outputs: readonly Tensor[] },
  forms: readonly OutputForm[],
  maxBytes: number,
  codec: Codec,
  signal: AbortSignal,
): Promise<EncodedResponse> {
  const binary = new Set(forms.filter((form) => form.binary).map((form) => form.name))
  const head = { model_name: answer.model, model_version: answer.version, id: answer.id }
  const json: Uint8Array[] = []
  const data: Uint8Array[] = []
  let text = `${JSON.stringify(head).slice(0, -1)},"outputs":[`
  for (const [index, tensor] of answer.outputs.entries()) {
    if (index > 0) text += ','
    const { name, datatype, shape, byteLength } = tensor
    if (binary.has(name)) {
      text += JSON.stringify({ name, datatype, shape, parameters: { binary_data_size: byteLength } })
      data.push(...tensor.pieces)
    } else {
      text += `${JSON.stringify({ name, datatype, shape }).slice(0, -1)},"data":`
      json.push(Buffer.from(text), ...(await codec.encode(tensor, maxBytes, signal)))
      text = '}'
    }
  }
  json.push(Buffer.from(`${text}]}`))
  const jsonBytes = json.reduce((sum, piece) => sum + piece.byteLength, 0)
  const byteLength = data.reduce((sum, piece) => sum + piece.byteLength, jsonBytes)
  if (byteLength > maxBytes) throw tooLarge(maxBytes)
  return { pieces: [...json, ...data], byteLength, jsonLength: binary.size > 0 ? jsonBytes : undefined }
}
