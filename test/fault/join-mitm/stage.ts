import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestOwner, testOwner } from '../../builders/federation.ts'
import { installDefinitions } from '../../cluster/definitions.ts'
import { conditionText, type JoinSide, startJoinSide } from '../../cluster/hansa/join-side.ts'
import { type Owner, startOwner } from '../../cluster/owner.ts'

/** What became of one join. */
export type Outcome = {
  /** Peers that are Verified, of the two. */
  verified: number
  /** Of those, the ones that hold another key than that of the owner whom the admin spoke to. */
  stolen: number
  /** The command that refused the attacker's file, if one did. */
  refusedBy: 'accept' | 'complete' | undefined
}

/** Two owners, each with an API server of its own, whose admins join by files that pass through other hands. */
export type Stage = {
  clinic: TestOwner
  university: TestOwner
  /** Makes the invite for a Peer of that name. */
  invite(name?: string): Promise<string>
  /** The accepter takes a file; undefined where it is refused. */
  accept(invite: string): Promise<string | undefined>
  complete(acceptance: string): Promise<boolean>
  /** What a side reads out; undefined where it has nothing to read. */
  fingerprint(side: 'inviter' | 'accepter'): Promise<string | undefined>
  verify(side: 'inviter' | 'accepter', heard: string): Promise<void>
  outcome(): Promise<Omit<Outcome, 'refusedBy'>>
  /** Both leave, so that the next join begins anew. */
  clear(): Promise<void>
  stop(): Promise<void>
}

const names = { inviter: 'university', accepter: 'clinic' }

export async function startStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'hansa-mitm-'))
  const clinic = await testOwner('clinic', { address: 'link.clinic.example:9444' })
  const university = await testOwner('university')
  const clusters: Owner[] = []
  const sides: JoinSide[] = []
  const stop = async () => {
    await Promise.all(sides.map((each) => each.stop()))
    await Promise.all(clusters.map((each) => each.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    for (const owner of [clinic, university]) {
      const cluster = await startOwner({ name: owner.bundle.ownerId })
      clusters.push(cluster)
      await installDefinitions(cluster)
      sides.push(await startJoinSide(cluster, owner))
    }
  } catch (error) {
    await stop()
    throw error
  }
  const [inviter, accepter] = sides
  if (inviter === undefined || accepter === undefined) throw new Error('two sides were started')
  const side = { inviter, accepter }
  const other = { inviter: university, accepter: clinic }
  let files = 0
  const file = async (text: string) => {
    files += 1
    const path = join(folder, `${files}.json`)
    await writeFile(path, text)
    return path
  }

  return {
    clinic,
    university,
    async invite(name = names.inviter) {
      files += 1
      const path = join(folder, `${files}.json`)
      const { code, stderr } = await inviter.hansa(['peer', 'invite', name, '--identity', 'main', '-o', path])
      if (code !== 0) throw new Error(`no invite: ${stderr}`)
      return readFile(path, 'utf8')
    },
    async accept(invite) {
      const args = ['peer', 'accept', await file(invite), '--name', names.accepter, '--identity', 'main']
      const { code, stdout } = await accepter.hansa(args)
      return code === 0 ? stdout : undefined
    },
    async complete(acceptance) {
      return (await inviter.hansa(['peer', 'complete', await file(acceptance)])).code === 0
    },
    async fingerprint(which) {
      const { code, stdout } = await side[which].hansa(['peer', 'fingerprint', names[which]])
      return code === 0 ? stdout.trim() : undefined
    },
    async verify(which, heard) {
      await side[which].hansa(['peer', 'verify', names[which]], heard)
    },
    async outcome() {
      const found = { verified: 0, stolen: 0 }
      for (const which of ['inviter', 'accepter'] as const) {
        // Every Peer counts, also those that were made under another name.
        const { stdout } = await side[which].hansa(['peer', 'list', '-o', 'json'])
        const { items }: { items: { metadata: { name: string } }[] } = JSON.parse(stdout)
        for (const { metadata } of items) {
          const peer = await side[which].judged(metadata.name)
          if (!conditionText(peer, 'Verified').startsWith('True')) continue
          found.verified += 1
          const { rootKey, trustDomain } = other[which].bundle
          if (peer.spec.rootKey !== rootKey || peer.status.trustDomain !== trustDomain) found.stolen += 1
        }
      }
      return found
    },
    async clear() {
      for (const each of sides) {
        const { stdout } = await each.hansa(['peer', 'list', '-o', 'json'])
        const { items }: { items: { metadata: { name: string } }[] } = JSON.parse(stdout)
        for (const { metadata } of items) await each.hansa(['peer', 'leave', metadata.name, '--yes'])
      }
    },
    stop,
  }
}
