import { type Answer, call } from './client.ts'

export type EmbeddingList = {
  object: string
  data: { object: string; index: number; embedding: number[] | string }[]
  model: string
  usage: { prompt_tokens: number; total_tokens: number }
}

/** `POST /v1/embeddings` to a test worker, whose model is called `echo`. */
export function embed(
  base: string,
  body: object,
  options: { headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Answer> {
  return call(base, '/v1/embeddings', { ...options, body: JSON.stringify({ model: 'echo', ...body }) })
}

/** The list of a successful answer. */
export function listOf(answer: Answer): EmbeddingList {
  if (answer.status !== 200) throw new Error(`status ${answer.status}: ${JSON.stringify(answer.json)}`)
  // The server's answer, whose form the API fixes; tests compare the values.
  return answer.json as unknown as EmbeddingList
}

/** The vectors of a successful answer, whichever encoding they came in. */
export function vectorsOf(answer: Answer): number[][] {
  return listOf(answer).data.map(({ embedding }) => {
    if (typeof embedding !== 'string') return embedding
    const bytes = Buffer.from(embedding, 'base64')
    return Array.from({ length: bytes.byteLength / 4 }, (_, at) => bytes.readFloatLE(4 * at))
  })
}

/** Message, type and code of an error in OpenAI's form; throws when the body has another form. */
export function errorOf(answer: Answer): { message: string; type: string; code: string | null } {
  const { error } = answer.json
  if (typeof error !== 'object' || error === null || !('param' in error) || error.param !== null) {
    throw new Error(`not an error of OpenAI's form: ${JSON.stringify(answer.json)}`)
  }
  return error as unknown as { message: string; type: string; code: string | null }
}
