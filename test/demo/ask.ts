import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { z } from 'zod'
import { repository } from '../cluster/hansa/images.ts'

const imagesSchema = z.array(z.object({ digit: z.int().min(0).max(9), image: z.array(z.int()).length(64) }))
export type Handwritten = z.infer<typeof imagesSchema>[number]

const answerSchema = z.object({
  model_name: z.string(),
  outputs: z.array(z.object({ name: z.string(), shape: z.array(z.number()), data: z.array(z.number()) })),
})

/** The handwritten digits that no version of the model has seen. */
export async function heldOutDigits(): Promise<Handwritten[]> {
  return imagesSchema.parse(
    JSON.parse(await readFile(join(repository, 'examples/models/digits/held-out.json'), 'utf8')),
  )
}

export type Answer = {
  status: number
  digits: number[]
  probabilities: number[][]
  error?: string
  /** Whose worker it was: `own`, or the name of a Peer. */
  owner?: string
  milliseconds: number
}

/** Calls a digits service at its URL over the Open Inference Protocol, as a user of the cluster would. */
export function digitsClient(options: { caPem: string; token?: string }) {
  const agent = new Agent({ connect: { ca: options.caPem }, connections: 16 })
  return {
    async ask(url: string, images: readonly Handwritten[]): Promise<Answer> {
      const startedAt = performance.now()
      const response = await request(`${url}/v2/models/${url.split('/').at(-1)}/infer`, {
        dispatcher: agent,
        method: 'POST',
        headersTimeout: 30_000,
        headers: {
          'content-type': 'application/json',
          ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
        },
        body: JSON.stringify({
          inputs: [
            { name: 'image', datatype: 'FP32', shape: [images.length, 64], data: images.flatMap(({ image }) => image) },
          ],
        }),
      })
      const body: unknown = JSON.parse(await response.body.text())
      const milliseconds = performance.now() - startedAt
      const status = response.statusCode
      const owner = String(response.headers['x-hansa-owner'] ?? '')
      if (status !== 200) {
        const error =
          typeof body === 'object' && body !== null && 'error' in body ? String(body.error) : 'no error text'
        return { status, digits: [], probabilities: [], error, owner, milliseconds }
      }
      const { outputs } = answerSchema.parse(body)
      const data = (name: string) => outputs.find((output) => output.name === name)?.data ?? []
      const flat = data('probabilities')
      const probabilities = images.map((_, i) => flat.slice(i * 10, i * 10 + 10))
      return { status, digits: data('digit'), probabilities, owner, milliseconds }
    },
    close: () => agent.close(),
  }
}

export type DigitsClient = ReturnType<typeof digitsClient>
