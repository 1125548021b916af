import { Counter, type Registry } from 'prom-client'

const gpuSecondsName = 'hansa_guest_gpu_seconds_total'

/** Counts GPU seconds of guests by Peer, for as long as the signal lasts. */
export function gpuCounter(registry: Registry, signal: AbortSignal): Counter<'peer'> {
  const counter = new Counter({
    name: gpuSecondsName,
    help: 'GPU seconds that guests of each Peer used, as they are written down.',
    labelNames: ['peer'],
    registers: [],
  })
  registry.registerMetric(counter)
  signal.addEventListener('abort', () => registry.removeSingleMetric(gpuSecondsName), { once: true })
  return counter
}
