import { EventEmitter } from 'node:events'
import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { onShutdown } from './shutdown.ts'

const log = pino({ level: 'silent' })

function harness() {
  return { signals: new EventEmitter(), exit: vi.fn<(code: number) => void>() }
}

test('SIGTERM drains once and exits 0', async () => {
  const options = harness()
  const drain = vi.fn(async () => {})
  const stopping = onShutdown(log, drain, options)
  expect(stopping.aborted).toBe(false)
  options.signals.emit('SIGTERM')
  options.signals.emit('SIGTERM')
  expect(stopping.aborted).toBe(true)
  await vi.waitFor(() => expect(options.exit).toHaveBeenCalledWith(0))
  expect(drain).toHaveBeenCalledTimes(1)
  expect(options.exit).toHaveBeenCalledTimes(1)
})

test('a drain that fails exits 1', async () => {
  const options = harness()
  onShutdown(log, () => Promise.reject(new Error('no')), options)
  options.signals.emit('SIGINT')
  await vi.waitFor(() => expect(options.exit).toHaveBeenCalledWith(1))
})

test('a drain that takes too long is told so and the process exits 1', async () => {
  const options = harness()
  const aborted = vi.fn()
  onShutdown(log, (signal) => new Promise(() => signal.addEventListener('abort', aborted)), {
    ...options,
    graceSeconds: 0.05,
  })
  options.signals.emit('SIGTERM')
  await vi.waitFor(() => expect(options.exit).toHaveBeenCalledWith(1))
  expect(aborted).toHaveBeenCalled()
})

test('a second Ctrl-C does not wait', async () => {
  const options = harness()
  onShutdown(log, () => new Promise(() => {}), options)
  options.signals.emit('SIGINT')
  options.signals.emit('SIGINT')
  expect(options.exit).toHaveBeenCalledWith(130)
})
