import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadTokenizer } from '@hansa/worker/serve/embed/tokenizer.ts'
import { z } from 'zod'
import { miniLmFolder, miniLmWheel } from '../builders/minilm.ts'
import { exportToolFile, pythonEnvironment } from '../builders/python/python-environment.ts'
import { runPython } from '../builders/python/run-python.ts'
import { embed, listOf, vectorsOf } from '../integration/serve/embeddings-client.ts'
import { startWorker } from '../integration/serve/worker.ts'

const maxDifference = 1e-5

export const promise = {
  id: 'embedding-parity',
  claim:
    'A worker gives the token ids and the vectors that PyTorch and the tokenizers library give, however texts are put together.',
  aim: `MiniLM, 400 texts: all token ids equal, no number off by more than ${maxDifference}, alone and in requests of 8, 32 and all`,
}

const referenceSchema = z.object({
  texts: z.array(z.object({ text: z.string(), ids: z.array(z.number()), vector: z.array(z.number()) })),
})

/** Texts of 1 to about 200 words, plain and strange; the same at every run. */
function textsOf(count: number): string[] {
  const plain = 'the of a ship harbour treaty city guild ledger wind salt herring amber council winter north'.split(' ')
  const strange = [
    'naïve',
    'Straße',
    '東京',
    'привет',
    '🙂',
    '100%',
    "don't",
    'a\u0301bc',
    'x'.repeat(120),
    '[MASK]',
    '\u00ad',
    '—',
  ]
  let state = 20_261_123
  // Numerical Recipes' generator: enough to vary texts.
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  return Array.from({ length: count }, (_, at) => {
    const words = Array.from({ length: 1 + next(at % 4 === 0 ? 200 : 24) }, () => {
      const list = next(8) === 0 ? strange : plain
      return list[next(list.length)]
    })
    return words.join(next(10) === 0 ? ' \n ' : ' ')
  })
}

/** Compares `count` texts; few of them make a quick trial. Needs the Python environment with PyTorch (several GB). */
export async function measure(
  report: (line: string) => void,
  count: number,
): Promise<{ figures: string; holds: boolean }> {
  const python = await pythonEnvironment('check')
  const folder = await mkdtemp(join(tmpdir(), 'hansa-parity-'))
  try {
    const [texts, out] = [join(folder, 'texts.json'), join(folder, 'reference.json')]
    await writeFile(texts, JSON.stringify(textsOf(count)))
    report(`PyTorch embeds ${count} texts`)
    await runPython(python, [exportToolFile('embed_reference.py'), await miniLmWheel(python), texts, out])
    const reference = referenceSchema.parse(JSON.parse(await readFile(out, 'utf8'))).texts
    return await compare(reference, report)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

type Reference = z.infer<typeof referenceSchema>['texts']

async function compare(reference: Reference, report: (line: string) => void) {
  const model = await miniLmFolder()
  const tokenizer = loadTokenizer(join(model, 'tokenizer.json'))
  const otherIds = reference.filter(({ text, ids }) => tokenizer.encode(text).join() !== ids.join()).length
  report(`${reference.length - otherIds} of ${reference.length} texts have the same token ids`)
  const worker = await startWorker(await readFile(join(model, 'model.onnx')), {
    embedding: { tokenizer: await readFile(join(model, 'tokenizer.json')), settings: { maxTokens: 512 } },
    limits: { responseBytes: 64 << 20, queueDepth: 100 },
    timeouts: { requestSeconds: 300 },
  })
  let worst = 0
  let leastCosine = 1
  try {
    for (const size of [1, 8, 32, reference.length]) {
      let difference = 0
      for (let at = 0; at < reference.length; at += size) {
        const part = reference.slice(at, at + size)
        const input = part.map(({ text }) => text)
        const answer = await embed(
          worker.url,
          { input, encoding_format: 'base64' },
          { signal: AbortSignal.timeout(300_000) },
        )
        const tokens = part.reduce((sum, { ids }) => sum + ids.length, 0)
        if (listOf(answer).usage.prompt_tokens !== tokens) throw new Error('the worker counts other tokens')
        for (const [index, vector] of vectorsOf(answer).entries()) {
          const expected = part[index]?.vector ?? []
          difference = Math.max(
            difference,
            ...vector.map((value, axis) => Math.abs(value - (expected[axis] ?? Number.NaN))),
          )
          leastCosine = Math.min(leastCosine, cosine(vector, expected))
        }
      }
      report(`${size} texts a request: off by at most ${difference.toExponential(1)}`)
      worst = Math.max(worst, difference)
    }
  } finally {
    await worker.close()
  }
  const lengths = reference.map(({ ids }) => ids.length)
  return {
    figures: `${reference.length} texts of ${Math.min(...lengths)} to ${Math.max(...lengths)} tokens: ids of ${otherIds} differ, numbers off by at most ${worst.toExponential(1)}, cosine at least ${leastCosine.toFixed(9)}`,
    // NaN, which a vector of another length would give, does not hold.
    holds: otherIds === 0 && worst <= maxDifference,
  }
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

export const run = (report: (line: string) => void) => measure(report, 400)
