import { Counter, type Registry } from 'prom-client'

const refusedName = 'hansa_remotework_messages_refused_total'

/** Counts messages that are not the word of the peer to us, for as long as the signal lasts. */
export function refusedCounter(registry: Registry, signal: AbortSignal): Counter<'kind' | 'reason'> {
  const counter = new Counter({
    name: refusedName,
    help: 'Messages about our requests that are not the word of the peer to us, by kind and reason.',
    labelNames: ['kind', 'reason'],
    registers: [],
  })
  registry.registerMetric(counter)
  signal.addEventListener('abort', () => registry.removeSingleMetric(refusedName), { once: true })
  return counter
}
