import { Pool } from 'undici'
import { type RowInput, restRequest } from './input.ts'

export type ClientOrder = { url: string; path: string; inputs: readonly RowInput[]; clients: number; seconds: number }

/** A process of closed-loop clients: each sends its next request when the last is answered. Answers sorted milliseconds. */
process.on('message', async (order: ClientOrder) => {
  const pool = new Pool(order.url, { connections: order.clients })
  const { headers, body } = restRequest(order.inputs)
  const end = performance.now() + order.seconds * 1000
  const latencies: number[] = []
  const loop = async () => {
    while (performance.now() < end) {
      const started = performance.now()
      const answer = await pool.request({ path: order.path, method: 'POST', headers, body })
      const bytes = await answer.body.arrayBuffer()
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}: ${Buffer.from(bytes).toString()}`)
      latencies.push(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: order.clients }, loop))
  await pool.close()
  process.send?.(latencies.sort((a, b) => a - b))
})
