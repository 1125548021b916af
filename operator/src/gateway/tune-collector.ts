import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 count buffers in the limit of the whole heap. By default 32 MiB or so of buffers bring on a full collection, although
 * those of forwarded bodies are garbage a moment later, which the small collections see to: at 600 KB a request, full collections
 * took a third of the gateway's CPU time (docs/adr/0007-gateway.md).
 */
export function tuneCollector(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
}
