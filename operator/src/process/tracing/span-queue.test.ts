import { expect, test } from 'vitest'
import type { Span } from './span.ts'
import { mostQueued, SpanQueue } from './span-queue.ts'

const span: Span = {
  name: 'request',
  kind: 'server',
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  parentSpanId: undefined,
  startedAt: 0,
  endedAt: 1,
  failed: false,
  attributes: {},
}

function setUp(send: (count: number) => Promise<boolean> = async () => true) {
  const sent: number[] = []
  const dropped: Record<string, number> = {}
  let timer: (() => void) | undefined
  const queue = new SpanQueue({
    send: async (spans) => {
      sent.push(spans.length)
      return await send(spans.length)
    },
    after: (_, call) => {
      timer = call
      return () => {
        timer = undefined
      }
    },
    onDropped: (reason, count) => {
      dropped[reason] = (dropped[reason] ?? 0) + count
    },
  })
  return { queue, sent, dropped, fire: () => timer?.() }
}

test('spans go out in batches when the time has come', async () => {
  const { queue, sent, fire } = setUp()
  for (let index = 0; index < 600; index++) queue.add(span)
  expect(sent).toEqual([])
  fire()
  await queue.flush()
  expect(sent).toEqual([512, 88])
})

test('a full queue drops what comes and counts it', () => {
  const { queue, dropped } = setUp()
  for (let index = 0; index < mostQueued + 5; index++) queue.add(span)
  expect(dropped).toEqual({ QueueFull: 5 })
})

test.each<[string, () => Promise<boolean>]>([
  ['answers no', async () => false],
  ['throws', () => Promise.reject(new Error('down'))],
])('what a receiver that %s did not take is counted, and the next go on', async (_, send) => {
  const { queue, dropped, sent } = setUp(send)
  queue.add(span)
  await queue.flush()
  queue.add(span)
  await queue.flush()
  expect(dropped).toEqual({ ExportFailed: 2 })
  expect(sent).toEqual([1, 1])
})
