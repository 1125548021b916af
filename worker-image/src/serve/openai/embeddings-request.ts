import { z } from 'zod'
import { isId, type TextTokenizer } from '../embed/tokenizer.ts'
import { Tokens } from '../embed/tokens.ts'
import { InferProblem, invalid } from '../problem.ts'

export type EmbeddingsLimits = {
  readonly modelName: string
  /** Tokens of one text. */
  readonly maxTokens: number
  readonly mostDimensions: number
}

/** Body of `POST /v1/embeddings`, tokenized. */
export type EmbeddingsRequest = {
  readonly tokens: Tokens
  readonly encoding: 'float' | 'base64'
  readonly dimensions: number | undefined
}

/** As OpenAI has them: texts of one request, and tokens of all of them. */
export const mostInputs = 2048
export const mostTotalTokens = 300_000
/** Longer texts are refused before the tokenizer sees them. */
const leastCharacters = 65_536
const charactersPerToken = 64

const bodySchema = z.object({
  input: z.unknown().optional(),
  model: z.string().max(512),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).nullish(),
  user: z.string().nullish(),
})

/** Reads, checks and tokenizes a request's body. Throws InferProblem (InvalidRequest, NotFound) that never quotes a text. */
export function readEmbeddingsRequest(
  body: Uint8Array,
  tokenizer: TextTokenizer,
  limits: EmbeddingsLimits,
): EmbeddingsRequest {
  const parsed = bodySchema.safeParse(parseJson(body))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'invalid'}`)
  }
  const { input, model, encoding_format: encoding, dimensions } = parsed.data
  if (model !== limits.modelName) {
    throw new InferProblem('NotFound', `this service has no such model: model must be ${limits.modelName}`)
  }
  if (typeof dimensions === 'number' && dimensions > limits.mostDimensions) {
    throw invalid(`dimensions must be at most the model's ${limits.mostDimensions}`)
  }
  return {
    tokens: tokensOf(input, tokenizer, limits.maxTokens),
    encoding: encoding ?? 'float',
    dimensions: dimensions ?? undefined,
  }
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw invalid('the body is not JSON in UTF-8')
  }
}

function tokensOf(input: unknown, tokenizer: TextTokenizer, maxTokens: number): Tokens {
  // One text, or one array of token ids, is the same as an array of one.
  const isOne = typeof input === 'string' || (Array.isArray(input) && typeof input[0] === 'number')
  const texts: readonly unknown[] = isOne ? [input] : Array.isArray(input) ? input : []
  if (texts.length === 0) {
    throw invalid('input must be a text, an array of texts, an array of token ids, or an array of such arrays')
  }
  if (texts.length > mostInputs)
    throw invalid(`input has ${texts.length} texts; at most ${mostInputs} are taken at once`)
  const lengths = new Int32Array(texts.length)
  const ids: number[] = []
  for (const [index, text] of texts.entries()) {
    const label = isOne ? 'input' : `input[${index}]`
    if (typeof text !== typeof texts[0]) throw invalid('input mixes texts and token ids')
    const own = typeof text === 'string' ? encoded(text, label, tokenizer, maxTokens) : given(text, label, tokenizer)
    if (own.length > maxTokens) {
      throw invalid(`${label} has ${own.length} tokens; this model takes at most ${maxTokens}, special tokens included`)
    }
    if (ids.length + own.length > mostTotalTokens) {
      throw invalid(`the texts have more than ${mostTotalTokens} tokens together; send them in several requests`)
    }
    lengths[index] = own.length
    for (const id of own) ids.push(id)
  }
  return new Tokens(Int32Array.from(ids), lengths)
}

function encoded(text: string, label: string, tokenizer: TextTokenizer, maxTokens: number): readonly number[] {
  if (text === '') throw invalid(`${label} must not be empty`)
  const most = Math.max(leastCharacters, charactersPerToken * maxTokens)
  if (text.length > most) throw invalid(`${label} has ${text.length} characters; at most ${most} are taken`)
  const ids = tokenizer.encode(text.toWellFormed())
  if (ids.length === 0) throw invalid(`${label} has no tokens`)
  if (!ids.every((id) => isId(id, tokenizer.vocabularySize))) {
    throw new InferProblem('ModelFailed', 'the tokenizer of the model gave something that is no token id')
  }
  return ids
}

function given(value: unknown, label: string, tokenizer: TextTokenizer): readonly number[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid(`${label} must be a text or a non-empty array of token ids`)
  }
  const ids: readonly unknown[] = value
  if (!ids.every((id): id is number => isId(id, tokenizer.vocabularySize))) {
    throw invalid(`${label}: token ids must be whole numbers from 0 to ${tokenizer.vocabularySize - 1}`)
  }
  return ids
}
