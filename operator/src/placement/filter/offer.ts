import type { Offer, PlacementFacts, Rejection } from '../input.ts'

type Against = (offer: Offer, facts: PlacementFacts) => Rejection | undefined

const workload: Against = ({ workloads }) =>
  workloads.includes('Serve')
    ? undefined
    : { reason: 'WorkloadNotOffered', message: `it offers ${workloads.join(', ')}, not Serve` }

const dataClass: Against = ({ dataClasses }, facts) =>
  dataClasses.includes(facts.dataClass)
    ? undefined
    : {
        reason: 'DataClassNotOffered',
        message: `it takes ${dataClasses.join(', ') || 'no'} data, not ${facts.dataClass}`,
      }

const gpuModel: Against = (offer, facts) =>
  facts.gpus === 0 || facts.gpuModel === undefined || offer.gpuModel === facts.gpuModel
    ? undefined
    : { reason: 'GPUModelDiffers', message: `it offers ${offer.gpuModel}, not ${facts.gpuModel}` }

const window: Against = ({ opens }) =>
  opens === undefined ? undefined : { reason: 'WindowClosed', message: `it is closed until ${opens}` }

const price: Against = ({ price: asked }, { maxPrice, gpus }) => {
  // Only GPU hours have a price.
  if (asked === undefined || asked.microsPerGPUHour === 0 || gpus === 0) return undefined
  const says = `it asks ${asked.microsPerGPUHour} millionths of ${asked.currency} for a GPU hour`
  if (maxPrice === undefined)
    return { reason: 'NotFree', message: `${says}; without maxPrice only what is free is used` }
  if (maxPrice.currency !== asked.currency) {
    return { reason: 'CurrencyDiffers', message: `${says}; maxPrice is in ${maxPrice.currency}` }
  }
  if (asked.microsPerGPUHour <= maxPrice.microsPerGPUHour) return undefined
  return { reason: 'TooExpensive', message: `${says}, more than ${maxPrice.microsPerGPUHour}` }
}

/** In the order in which they are said. */
const all: readonly Against[] = [workload, dataClass, gpuModel, window, price]

/** What the service has against one offer. */
export function againstOffer(offer: Offer, facts: PlacementFacts): Rejection[] {
  return all.flatMap((each) => each(offer, facts) ?? [])
}
