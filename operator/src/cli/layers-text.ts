import type { InferenceService } from '../api/inference-service.ts'
import { inferenceServiceReasons } from '../api/inference-service-reasons.ts'
import type { ReasonCatalogue } from '../api/reason.ts'
import type { Alternative } from '../layers/alternatives.ts'
import type { LayerView } from '../layers/layers.ts'
import type { Range } from '../layers/measure.ts'
import { type Io, plain } from './io.ts'
import { type LayersSeen, laterLayers } from './layers.ts'
import { moneyText } from './money.ts'
import { columns } from './output.ts'

/** The tables of `kubectl hansa layers`. */
export function layersText({ metadata }: InferenceService, seen: LayersSeen, _io: Io): string {
  const parts = [
    `InferenceService ${metadata.namespace}/${metadata.name}\n`,
    layerTable(seen.layers),
    seen.layers
      .filter(({ unknown }) => unknown !== undefined)
      .map(({ layer, unknown }) => `${layer}: ${unknown}\n`)
      .join(''),
    verdictText(seen.verdict),
    'What another placement would cost (leases alone; workers here are counted as free)\n',
    alternativeTable(seen.alternatives),
    'Prices are those of leases, else of offers; latencies are round trips, in bands. Rows of strategies keep to policies and room, the others are sums: kubectl hansa explain\n',
  ]
  return parts
    .filter((part) => part !== '')
    .map((part) => part.split('\n').map(plain).join('\n'))
    .join('\n')
}

function layerTable(layers: readonly LayerView[]): string {
  const head = ['LAYER', 'WHO HAS HOW MUCH', 'OWNERS', 'LARGEST', 'HHI', 'TO STOP', 'TO FALL SHORT', 'COUNTED']
  const rows = layers.map(({ layer, holders, measures, ownersToFallShort, unit }) => [
    layer,
    holders.map(({ owner, least, most }) => `${owner} ${rangeText({ least, most })}`).join(', ') || 'nobody',
    rangeText(measures.owners),
    percentText(measures.largestSharePermille),
    String(measures.herfindahl),
    rangeText(measures.ownersToStop),
    ownersToFallShort === undefined ? '' : String(ownersToFallShort),
    unit,
  ])
  return columns(head, [...rows, ...laterLayers.map((layer) => [layer, 'not there yet', '', '', '', '', '', ''])])
}

function verdictText(verdict: LayersSeen['verdict']): string {
  if (verdict === undefined) return 'Nothing is required in spec.placement.requirements.\n'
  const mark = { True: '+', False: 'x', Unknown: '?' }[verdict.status]
  const catalogue: ReasonCatalogue = inferenceServiceReasons.Decentralized
  const remedy = verdict.status === 'True' ? undefined : catalogue[verdict.reason]?.remedy
  return `${mark} Decentralized: ${verdict.reason}: ${verdict.message}\n${remedy === undefined ? '' : `  ${remedy}\n`}`
}

const words: Readonly<Record<string, string>> = {
  Now: 'as it is now',
  AllOwn: 'all here',
  CheapestPeer: 'all at the cheapest peer',
  OwnFirst: 'strategy OwnFirst',
  Cheapest: 'strategy Cheapest',
  Fastest: 'strategy Fastest',
  MostResilient: 'strategy MostResilient',
}

function alternativeTable(found: readonly Alternative[]): string {
  const head = ['PLACEMENT', 'WORKERS', 'OWNERS', 'LARGEST', 'HHI', 'TO STOP', 'PER HOUR', 'LATENCY']
  return columns(
    head,
    found.map(({ name, places, short, perHour, unpriced, latencyMilliseconds: latency, measures }) => [
      words[name] ?? `spread over ${name.slice('Over'.length)} owners`,
      [
        ...places.map(({ owner, workers }) => `${owner} ${workers}`),
        ...(short > 0 ? [`no room for ${short}`] : []),
      ].join(', ') || 'none',
      rangeText(measures.owners),
      percentText(measures.largestSharePermille),
      String(measures.herfindahl),
      rangeText(measures.ownersToStop),
      [
        ...perHour.map(({ currency, micros }) => moneyText(micros, currency)),
        ...unpriced.map((owner) => `${owner}: not known`),
      ].join(' + ') || 'free',
      latency === undefined ? 'not measured' : `+${latency.mean} ms, at most +${latency.longest} ms`,
    ]),
  )
}

function rangeText({ least, most }: Range): string {
  return least === most ? String(most) : `${least}-${most}`
}

function percentText({ least, most }: Range): string {
  const percent = (permille: number) => String(permille / 10)
  return least === most ? `${percent(most)} %` : `${percent(least)}-${percent(most)} %`
}
