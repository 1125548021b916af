import { readFileSync, statSync } from 'node:fs'
import { messageOf } from '@hansa/operator/process/errors.ts'
import { Tokenizer } from '@huggingface/tokenizers'

/** Larger files are refused; the tokenizers of large language models take 10 to 35 MB. */
const mostFileBytes = 64 << 20
const mostId = 2 ** 31 - 1
const kinds = new Set<unknown>(['WordPiece', 'BPE', 'Unigram'])

/** Turns texts into token ids as a `tokenizer.json` says. */
export type TextTokenizer = {
  /** Special tokens included. */
  encode(text: string): readonly number[]
  /** Ids are below this. */
  readonly vocabularySize: number
  readonly padId: number
}

/** A tokenizer that cannot be used; the message says why and quotes nothing but the file's own words. */
export class TokenizerRefused extends Error {}

/**
 * Reads a `tokenizer.json`. Runs in a thread of its own, because the file brings regular expressions and may be made to use
 * any amount of time. Throws TokenizerRefused.
 */
export function loadTokenizer(path: string): TextTokenizer {
  const { size } = statSync(path)
  if (size > mostFileBytes) throw new TokenizerRefused(`it has ${size} bytes, ${mostFileBytes} are the most`)
  const json = parse(readFileSync(path))
  let tokenizer: Tokenizer
  let probe: readonly number[]
  let vocabularySize = 0
  try {
    tokenizer = new Tokenizer(json, {})
    for (const id of tokenizer.get_vocab().values()) vocabularySize = Math.max(vocabularySize, Number(id) + 1)
    probe = tokenizer.encode('The quick brown fox.').ids
  } catch (error) {
    throw new TokenizerRefused(`it cannot be understood: ${messageOf(error).slice(0, 256)}`)
  }
  if (!Number.isSafeInteger(vocabularySize) || vocabularySize < 1 || vocabularySize > mostId) {
    throw new TokenizerRefused('its vocabulary is empty or has ids that are no numbers from 0 to 2^31 - 1')
  }
  if (probe.length === 0 || !probe.every((id) => isId(id, vocabularySize))) {
    throw new TokenizerRefused('it gives no token ids for a plain sentence')
  }
  return {
    encode: (text) => tokenizer.encode(text).ids,
    vocabularySize,
    padId: padIdOf(json, tokenizer, vocabularySize),
  }
}

export function isId(value: unknown, vocabularySize: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < vocabularySize
}

function parse(bytes: Uint8Array): object {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new TokenizerRefused('it is no JSON')
  }
  if (typeof value !== 'object' || value === null || !('model' in value)) {
    throw new TokenizerRefused('it is no tokenizer.json: the member "model" is missing')
  }
  const { model } = value
  const type = typeof model === 'object' && model !== null && 'type' in model ? model.type : undefined
  // The library would take a kind that it does not know for another, and give wrong ids without a word.
  if (type !== undefined && !kinds.has(type)) {
    throw new TokenizerRefused(
      `its model is ${JSON.stringify(type).slice(0, 64)}; ${[...kinds].join(', ')} are understood`,
    )
  }
  return value
}

/** What padded places hold matters only to graphs that look at more than the mask. */
function padIdOf(json: object, tokenizer: Tokenizer, vocabularySize: number): number {
  const padding = 'padding' in json ? json.padding : undefined
  const named = typeof padding === 'object' && padding !== null && 'pad_id' in padding ? padding.pad_id : undefined
  const candidates = [named, tokenizer.token_to_id('[PAD]'), tokenizer.token_to_id('<pad>')]
  return candidates.find((id) => isId(id, vocabularySize)) ?? 0
}
