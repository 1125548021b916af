import type { BadInputCase } from '../case.ts'
import type { ManifestContext } from './cluster.ts'
import { manifestCase } from './generated.ts'
import { modelRules } from './model-rules.ts'
import { noManifests } from './no-manifests.ts'
import { otherNamespaces } from './other-namespaces.ts'
import type { Row } from './row.ts'
import { serviceRules } from './service-rules.ts'
import { unsafePaths, unsafeUrls } from './unsafe-paths.ts'
import { updates } from './updates.ts'
import { httpsModel, service } from './valid.ts'

type Case = BadInputCase<ManifestContext>

/** Manifests that break a rule between fields, leave their namespace, or are no manifests at all. */
export function handMadeCases(): Case[] {
  return [
    ...refused('InferenceService', serviceRules()),
    ...refused('Model', modelRules()),
    ...refused('Model', unsafePaths()),
    ...refused('Model', unsafeUrls()),
    ...names(),
    ...noManifests(),
    ...updates(),
    ...otherNamespaces(),
  ]
}

function refused(kind: string, rows: readonly Row[]): Case[] {
  return rows.map(([name, manifest, message]) =>
    manifestCase(`${kind}: ${name}`, kind, manifest, { status: 422, message }),
  )
}

function names(): Case[] {
  const ours = 'metadata.name must be a DNS label of at most 40 characters'
  const list: [string, string][] = [
    ['a'.repeat(41), ours],
    ['a.b', ours],
    ['Upper', 'metadata.name'],
    ['-dash', 'metadata.name'],
    ['dash-', 'metadata.name'],
    ['under_score', 'metadata.name'],
    ['../escape', 'metadata.name'],
    ['', 'name or generateName is required'],
  ]
  return list.flatMap(([name, message]) => [
    manifestCase(`InferenceService: name ${JSON.stringify(name)}`, 'InferenceService', service(name), {
      status: 422,
      message,
    }),
    manifestCase(`Model: name ${JSON.stringify(name)}`, 'Model', httpsModel(name), { status: 422, message }),
  ])
}
