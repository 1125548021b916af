import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type FederatedOwner, startFederation } from '../cluster/hansa/federation.ts'
import { repository } from '../cluster/hansa/images.ts'
import { systemNamespace } from '../cluster/hansa/installation.ts'
import { whoIs } from './foreign-rights/api-server.ts'
import { forge } from './foreign-rights/forge.ts'
import { type Credential, createHaul } from './foreign-rights/haul.ts'
import { effectiveRights, forbidden, missingFrom } from './foreign-rights/rights.ts'
import { searchOwner } from './foreign-rights/search.ts'
import { serveDigits } from './foreign-rights/serve-digits.ts'
import { tryDoors } from './foreign-rights/try-doors.ts'

export const promise = {
  id: 'foreign-rights',
  claim:
    "Nothing that an owner has opens another owner's cluster: every token, certificate, key and access key in its Secrets, files, environments and processes, and whatever can be signed with stolen keys, is tried at the other's API server and at every port of its Hansa. And no process of Hansa can do more at home than the committed table says, counting what the pods that it can make would get.",
  aim: '0 accepted abroad but link by link and gateway by gateway; 10 or more accepted at home, so that the search is not blind; rights equal to the table, no wildcard, Secrets by name only',
}

const expectedSchema = z.record(z.string(), z.record(z.string(), z.array(z.string())))
const tablePath = join(repository, 'test/fault/foreign-rights/expected.json')

/** Robs one owner of everything, and tries it at the other; then compares effective rights with the table. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const everything = { 'cache.enabled': 'true' }
  const federation = await startFederation({
    owners: [
      { name: 'st-mary', values: everything },
      { name: 'university', values: everything },
    ],
    log: report,
  })
  try {
    const home = federation.owner('st-mary')
    const abroad = federation.owner('university')
    await Promise.all([serveDigits(home), serveDigits(abroad)])
    const haul = createHaul()
    const places = await searchOwner(home, haul)
    haul.add(await home.hansa('key', 'create', 'thief', '--service', 'digits', '-n', 'digits'), 'an access key')
    haul.add(await home.token('reader', 'digits'), 'a token of a user')
    const found = haul.credentials()
    const forged = await forge(haul)
    report(
      `searched ${places.objects} objects, ${places.files} files, ${places.processes} processes: ${count(found)}; ${haul.bareKeys().length} keys without certificate; forged ${count(forged)}`,
    )
    const all = [...found, ...forged]
    const atHome = await accepted(home, all)
    const atServer = await accepted(abroad, all)
    report(`API server at home takes ${atHome.length}: ${[...new Set(atHome.map(({ user }) => user))].join(', ')}`)
    for (const { user, where } of atServer) report(`API server abroad takes what is in ${where}, as ${user}`)
    const doors = await tryDoors(home, abroad, all, report)
    const rights = await compareRights(abroad, report)
    const figures = [
      `n=${all.length} credentials (${count(found)}; ${forged.length} forged)`,
      `${atServer.length + doors.accepted} accepted abroad`,
      `${atHome.length} by the API server at home and ${doors.acceptedAtHome} by Hansa there`,
      `${doors.tried} attempts at ${doors.doors} ports`,
      `${doors.asMeant} as meant between link and link, gateway and gateway`,
      `${rights.lines} lines of rights, ${rights.differences} differ, ${rights.forbidden} forbidden`,
    ].join(', ')
    const blind = atHome.length < 10 || doors.acceptedAtHome === 0 || doors.asMeant === 0
    const holds = atServer.length + doors.accepted + rights.differences + rights.forbidden === 0 && !blind
    return { figures, holds }
  } finally {
    await federation.stop()
  }
}

async function accepted({ owner }: FederatedOwner, credentials: readonly Credential[]) {
  const taken: { user: string; where: string }[] = []
  if ((await whoIs(owner, undefined)) !== undefined) throw new Error('the API server takes a stranger for somebody')
  for (const credential of credentials) {
    const user = await whoIs(owner, credential)
    if (user !== undefined) taken.push({ user, where: credential.where })
  }
  return taken
}

async function compareRights({ owner }: FederatedOwner, report: (line: string) => void) {
  const accounts = ['operator', 'gateway', 'link', 'fetch', 'cache'].map((name) => ({
    ...{ namespace: systemNamespace, name: `hansa-${name}` },
  }))
  const worker = { namespace: 'digits', name: 'digits-worker' }
  const table = await effectiveRights(owner, [...accounts, worker], ['digits', systemNamespace, 'kube-system'])
  const expected = expectedSchema.parse(JSON.parse(await readFile(tablePath, 'utf8')))
  const more = missingFrom(table, expected)
  const less = missingFrom(expected, table)
  const wrong = forbidden(table)
  for (const line of more) report(`not in the table: ${line}`)
  for (const line of less) report(`only in the table: ${line}`)
  for (const line of wrong) report(`forbidden: ${line}`)
  const lines = Object.values(table).flatMap((places) => Object.values(places).flat()).length
  return { lines, differences: more.length + less.length, forbidden: wrong.length }
}

function count(credentials: readonly Credential[]): string {
  const tokens = credentials.filter(({ kind }) => kind === 'Token').length
  return `${tokens} tokens, ${credentials.length - tokens} certificates`
}
