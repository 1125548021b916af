import { setImmediate as nextTurn } from 'node:timers/promises'
import { InferProblem } from '../problem.ts'
import type { Given, Taken } from '../rest/take-request.ts'
import { contiguous } from '../tensor.ts'
import type { Worker } from '../worker.ts'

/** 300,000 token ids take 2 MB as JSON; texts of so many tokens seldom more. */
export const mostBodyBytes = 8 << 20
/** Numbers written before others get their turn: about 5 ms. */
const numbersAtOnce = 16_384

/** Answers `POST /v1/embeddings`. Rejects with InferProblem or the signal's reason. */
export async function embeddings(
  { body, loaded, deadlineAt, signal, traceparent }: Taken,
  worker: Worker,
): Promise<Given> {
  const { embedder } = loaded
  if (embedder === undefined) throw noEmbeddings()
  const request = await embedder.read(contiguous(body.pieces, body.byteLength), signal)
  const vectors = await embedder.embed(request, { deadlineAt, signal, traceparent })
  const used = request.tokens.total
  const pieces: Buffer[] = []
  let byteLength = 0
  const write = (text: string) => {
    const piece = Buffer.from(text)
    byteLength += piece.byteLength
    if (byteLength > worker.limits.responseBytes) {
      throw new InferProblem(
        'ResponseTooLarge',
        `the answer takes more than the ${worker.limits.responseBytes} bytes of the service's limits.responseBytes; send fewer texts, or ask for base64`,
      )
    }
    pieces.push(piece)
  }
  write('{"object":"list","data":[')
  let numbers = 0
  for (const [index, vector] of vectors.entries()) {
    const embedding = request.encoding === 'base64' ? base64(vector) : decimals(vector)
    write(`${index === 0 ? '' : ','}{"object":"embedding","index":${index},"embedding":${embedding}}`)
    numbers += vector.length
    if (numbers < numbersAtOnce) continue
    numbers = 0
    await nextTurn()
    signal.throwIfAborted()
  }
  const usage = { prompt_tokens: used, total_tokens: used }
  write(`],"model":${JSON.stringify(worker.model.name)},"usage":${JSON.stringify(usage)}}`)
  return { pieces, byteLength, headers: { 'content-type': 'application/json' } }
}

/** Little-endian float32, as OpenAI's clients read it. */
function base64(vector: Float32Array): string {
  return `"${Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')}"`
}

/** Nine significant digits give every float32 back exactly. */
function decimals(vector: Float32Array): string {
  return JSON.stringify(Array.from(vector, (value) => Number(value.toPrecision(9))))
}

export function noEmbeddings(): InferProblem {
  return new InferProblem('NotFound', 'the model of this service makes no embeddings: it has no spec.embedding')
}
