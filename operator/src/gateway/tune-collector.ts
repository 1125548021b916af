import { setFlagsFromString } from 'node:v8'

/**
 * Keeps V8 from collecting the whole heap because of buffers that are garbage a moment later, which the small collections see to.
 * Buffers are counted in the limit of the whole heap instead of one of their own (32 MiB or so), and that limit may be five
 * times what lives, about 25 MB here, instead of a few MiB more. At 600 KB a request full collections otherwise take a third to
 * a half of the gateway's CPU time (docs/adr/0007-gateway.md).
 */
export function tuneCollector(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  setFlagsFromString('--heap-growing-percent=400')
}
