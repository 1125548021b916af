import type { DecentralizedReason } from '../api/inference-service-reasons.ts'
import type { Requirement } from '../api/placement.ts'
import type { NewCondition } from '../kube/conditions.ts'
import type { LayerView } from './layers.ts'
import type { Range } from './measure.ts'

type Finding = { reason: DecentralizedReason; message: string }
type Verdict = Omit<NewCondition, 'observedGeneration'>

const maxMessage = 2048

/**
 * Whether the layers are as spread as is required. False where it is broken however what is not known may stand; Unknown where it
 * depends on that. Undefined where nothing is required.
 */
export function judge(
  requirements: readonly Requirement[] | undefined,
  layers: readonly LayerView[],
): Verdict | undefined {
  if (requirements === undefined || requirements.length === 0) return undefined
  const findings = requirements.flatMap((each) => {
    const view = layers.find(({ layer }) => layer === each.layer)
    return view === undefined ? [] : findingsOf(each, view)
  })
  const broken = findings.filter(({ reason }) => reason !== 'NotKnown')
  if (broken.length > 0) return verdict('False', broken)
  if (findings.length > 0) return verdict('Unknown', findings)
  const names = requirements.map(({ layer }) => layer).join(', ')
  return verdict('True', [{ reason: 'RequirementsMet', message: `all that is required of ${names} holds` }])
}

function verdict(status: Verdict['status'], findings: readonly Finding[]): Verdict {
  const message = findings
    .map((each) => each.message)
    .join('; ')
    .slice(0, maxMessage)
  return { type: 'Decentralized', status, reason: findings[0]?.reason ?? 'NotKnown', message }
}

function findingsOf(
  { layer, minOwners, minOwnersToStop, maxSharePermille }: Requirement,
  { measures, unknown, stops }: LayerView,
): Finding[] {
  const { owners, ownersToStop, largestSharePermille } = measures
  const findings: Finding[] = []
  const notKnown = (what: string) => {
    findings.push({ reason: 'NotKnown', message: `${layer}: ${what}${unknown === undefined ? '' : `: ${unknown}`}` })
  }
  // Nothing runs by intent, or nobody has looked: no figure means anything. Of the Ledger bounds are known all the same.
  if (unknown !== undefined && layer === 'Compute') {
    notKnown('nothing to measure')
    return findings
  }
  const atLeast = (reason: DecentralizedReason, is: Range, wanted: number | undefined, words: string) => {
    if (wanted === undefined || is.least >= wanted) return
    if (is.most < wanted) findings.push({ reason, message: `${layer}: ${is.most} ${words}, required: ${wanted}` })
    else notKnown(`${between(is)} ${words}, required: ${wanted}`)
  }
  atLeast('TooFewOwners', owners, minOwners, 'owners have a part')
  if (maxSharePermille !== undefined && largestSharePermille.most > maxSharePermille) {
    const { least } = largestSharePermille
    const allowed = `largest share of an owner, allowed: ${maxSharePermille}`
    if (least > maxSharePermille)
      findings.push({ reason: 'TooConcentrated', message: `${layer}: ${least} per mille is the ${allowed}` })
    else notKnown(`${between(largestSharePermille)} per mille is the ${allowed}`)
  }
  atLeast('TooFragile', ownersToStop, minOwnersToStop, `owners are enough to stop it (${stops})`)
  return findings
}

function between({ least, most }: Range): string {
  return least === most ? String(most) : `${least} to ${most}`
}
