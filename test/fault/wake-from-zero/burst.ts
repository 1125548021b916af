import { Agent, request } from 'undici'
import { z } from 'zod'
import type { Handwritten } from '../../demo/ask.ts'

const answerSchema = z.object({
  id: z.string(),
  outputs: z.array(z.object({ name: z.string(), data: z.array(z.number()) })),
})

export type Burst = {
  /** Seconds to the first and to the last good answer; Infinity when there was none. */
  first: number
  last: number
  /** What became of the requests that did not get the one right answer to their own question. */
  lost: string[]
}

/** Sends requests at once, each with an id, a picture and a deadline of its own, and checks that each gets its own answer. */
export async function sendBurst(options: {
  url: string
  caPem: string
  token: string
  pictures: readonly Handwritten[]
  count: number
  deadlineSeconds: number
}): Promise<Burst> {
  const { url, pictures, count, deadlineSeconds } = options
  const agent = new Agent({ connect: { ca: options.caPem }, connections: count })
  const began = performance.now()
  const times: number[] = []
  const lost: string[] = []

  async function one(index: number): Promise<void> {
    const picture = pictures[index % pictures.length]
    if (picture === undefined) throw new Error('there are no pictures')
    const id = `${index}-${Math.random().toString(36).slice(2)}`
    try {
      const { statusCode, body } = await request(`${url}/v2/models/${url.split('/').at(-1)}/infer`, {
        dispatcher: agent,
        method: 'POST',
        // Beyond the deadline, so that it is the gateway that must answer in time.
        headersTimeout: (deadlineSeconds + 10) * 1_000,
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${options.token}`,
          'x-request-timeout-ms': String(deadlineSeconds * 1_000),
        },
        body: JSON.stringify({
          id,
          inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: picture.image }],
        }),
      })
      const text = await body.text()
      if (statusCode !== 200) {
        lost.push(`${statusCode} ${text.slice(0, 200)}`)
        return
      }
      const answer = answerSchema.parse(JSON.parse(text))
      const [digit] = answer.outputs.find(({ name }) => name === 'digit')?.data ?? []
      if (answer.id !== id) lost.push(`the answer of request ${answer.id} instead of ${id}`)
      else if (digit === undefined) lost.push('an answer without a digit')
      else times.push((performance.now() - began) / 1_000)
    } catch (error) {
      lost.push(error instanceof Error ? error.message : String(error))
    }
  }

  await Promise.all(Array.from({ length: count }, (_, index) => one(index)))
  await agent.destroy()
  return { first: Math.min(...times), last: times.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...times), lost }
}
