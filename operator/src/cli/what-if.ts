import type { InferenceService } from '../api/inference-service.ts'
import { type PlacementSpec, placementSchema, strategies } from '../api/placement.ts'
import { usageError } from './cli-error.ts'

type Changed = { service: InferenceService; total: number }
type Change = (value: string, state: { placement: PlacementSpec; total: number }) => void

const changes: Readonly<Record<string, Change>> = {
  strategy: (value, { placement }) => {
    const strategy = strategies.find((each) => each.toLowerCase() === value.toLowerCase())
    if (strategy === undefined) throw usageError(`--if strategy=${value}: must be one of ${strategies.join(', ')}`)
    placement.strategy = strategy
  },
  replicas: (value, state) => {
    state.total = count('replicas', value, 0, 1000)
  },
  maxPrice: (value, { placement }) => {
    const [, currency, micros] = /^([A-Z]{3}):([0-9]{1,15})$/.exec(value) ?? []
    if (currency === undefined) throw usageError(`--if maxPrice=${value}: must be CURRENCY:MICROS, such as EUR:500000`)
    placement.maxPrice = { currency, microsPerGPUHour: Number(micros) }
  },
  maxLatency: (value, { placement }) => {
    placement.maxLatencyMilliseconds = count('maxLatency', value, 1, 60_000)
  },
  minOwners: (value, { placement }) => {
    placement.minOwners = count('minOwners', value, 1, 32)
  },
  maxShare: (value, { placement }) => {
    placement.maxSharePerOwnerPermille = count('maxShare', value, 1, 1000)
  },
  own: (value, { placement }) => {
    placement.own = { maxReplicas: count('own', value, 0, 1000) }
  },
  without: (value, { placement }) => {
    if (!(placement.peers ?? []).some(({ name }) => name === value)) {
      throw usageError(`--if without=${value}: spec.placement.peers has no ${value}`)
    }
    placement.peers = (placement.peers ?? []).filter(({ name }) => name !== value)
  },
}

/** The service as it would be with these changes (`key=value`). Nothing is written. */
export function changed(service: InferenceService, total: number, given: readonly string[]): Changed {
  const state = { placement: placementSchema.parse(structuredClone(service.spec.placement ?? {})), total }
  for (const each of given) {
    const at = each.indexOf('=')
    const [key, value] = [each.slice(0, Math.max(0, at)), each.slice(at + 1)]
    const change = changes[key]
    const { peers = [] } = state.placement
    if (change !== undefined) change(value, state)
    else if (at > 0 && /^[a-z0-9.-]+$/.test(key)) {
      const maxReplicas = count(key, value, 1, 1000)
      state.placement.peers = [...peers.filter(({ name }) => name !== key), { name: key, maxReplicas }]
    } else {
      throw usageError(
        `--if ${each}: must be KEY=VALUE`,
        `Keys: ${Object.keys(changes).join(', ')}, or the name of a Peer.`,
      )
    }
  }
  return { service: { ...service, spec: { ...service.spec, placement: state.placement } }, total: state.total }
}

function count(key: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!/^[0-9]{1,6}$/.test(text) || value < least || value > most) {
    throw usageError(`--if ${key}=${text}: must be a whole number from ${least} to ${most}`)
  }
  return value
}
