import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Federation } from '../cluster/hansa/federation.ts'
import { repository } from '../cluster/hansa/images.ts'
import { whoIs } from '../fault/foreign-rights/api-server.ts'
import { createHaul } from '../fault/foreign-rights/haul.ts'
import { searchOwner } from '../fault/foreign-rights/search.ts'
import type { Check } from './checks.ts'
import { progress } from './progress.ts'
import { guestPods, isReady, peerOf, remoteWorkThat } from './treaty.ts'
import { eventually } from './wait.ts'

const guests = 'guest-st-mary'
const asked = ['digits-shared', 'university'] as const
const digest = 'a5c4e05685fad833b12b967fbbf6f39a61c0036697ea92d4997ed4336aa11acd'
const file = (name: string) => readFile(join(repository, 'test/demo', name), 'utf8')

/** What owners do with one another: St. Mary asks, the university decides, nobody can dial the clinic. */
export function federationChecks(federation: Federation): Check[] {
  const stMary = federation.owner('st-mary')
  const university = federation.owner('university')
  const clinic = federation.owners.find(({ name }) => name === 'clinic')

  const isConnected = async () => {
    for (const [owner, peer] of [[stMary, 'university'] as const, [university, 'st-mary'] as const]) {
      const { ready } = await peerOf(owner, peer)
      if (ready?.status !== 'True') throw new Error(`${owner.name} sees ${peer}: ${ready?.reason}: ${ready?.message}`)
    }
    return true
  }
  const guest = async () => {
    const [pod, ...more] = (await guestPods(university, guests)).filter(isReady)
    if (pod === undefined || more.length > 0) throw new Error(`${more.length} pods too many or one too few`)
    return pod
  }

  return [
    {
      name: 'joins three owners, one of which nobody can dial',
      run: async () => {
        const seen = await eventually('all see all', async () => {
          const directions: string[] = []
          for (const owner of federation.owners) {
            for (const { name } of federation.owners.filter((other) => other !== owner)) {
              const { ready, direction } = await peerOf(owner, name)
              if (ready?.status !== 'True') throw new Error(`${owner.name} sees ${name}: ${ready?.message}`)
              if (name === clinic?.name && direction !== 'Inbound') throw new Error(`${owner.name} dialled ${name}`)
              directions.push(`${owner.name} ${direction === 'Inbound' ? '<-' : '->'} ${name}`)
            }
          }
          return directions
        })
        return seen.join(', ')
      },
    },
    {
      name: 'asks another owner, which refuses with all its reasons',
      run: async () => {
        await university.apply(await file('lending.yaml'))
        await stMary.apply(await file('asking.yaml'))
        const { status } = await remoteWorkThat(
          stMary,
          asked,
          'the university refuses',
          (work) => work.status.answer?.decision === 'Refused',
        )
        const refusals = status.answer?.refusals ?? []
        for (const { reason, message } of refusals) progress(`  ${reason}: ${message}`)
        const reasons = refusals.map(({ reason }) => reason)
        for (const reason of ['QuotaExceeded', 'ResourceNotOffered']) {
          if (!reasons.includes(reason)) throw new Error(`${reason} is not among ${reasons.join(', ')}`)
        }
        return reasons.join(', ')
      },
    },
    {
      name: 'grants when the other owner has edited one line',
      run: async () => {
        const before = '  quota: { cpu: 50m }'
        const after = '  quota: { cpu: "4", memory: 8Gi }'
        progress(`  -${before}`)
        progress(`  +${after}`)
        const editedAt = performance.now()
        await university.apply((await file('lending.yaml')).replace(before, after))
        const { status } = await remoteWorkThat(
          stMary,
          asked,
          'the university grants, and its worker is ready',
          (work) => work.status.answer?.decision === 'Granted' && work.status.readyReplicas === 1,
        )
        const seconds = (performance.now() - editedAt) / 1000
        return `epoch ${status.lease?.epoch}, ${status.lease?.ttlSeconds} s; a worker ready after ${seconds.toFixed(1)} s`
      },
    },
    {
      name: 'runs there what was asked for, by its digest, below all else',
      run: async () => {
        const pod = await eventually('the guest is ready', guest)
        const { initContainers, priorityClassName, automountServiceAccountToken } = pod.spec
        const model = initContainers.flatMap(({ env }) => env).find(({ name }) => name === 'HANSA_MODEL')?.value
        if (model?.includes(digest) !== true) throw new Error(`its model is ${model}`)
        if (priorityClassName !== 'hansa-guest') throw new Error(`its priority class is ${priorityClassName}`)
        if (automountServiceAccountToken !== false) throw new Error('it has a token')
        return `pod ${pod.metadata.name}: sha256:${digest.slice(0, 12)}, ${priorityClassName}, no token`
      },
    },
    {
      name: 'no credential of one owner opens the API server of another',
      run: async () => {
        const haul = createHaul()
        await searchOwner(stMary, haul)
        const all = haul.credentials()
        let atHome = 0
        for (const credential of all) {
          if ((await whoIs(stMary.owner, credential)) !== undefined) atHome += 1
          const user = await whoIs(university.owner, credential)
          if (user !== undefined) throw new Error(`what is in ${credential.where} opens the university, as ${user}`)
        }
        if (atHome === 0) throw new Error("none of what was found opens St. Mary's own, so the search is blind")
        return `${all.length} found at St. Mary, ${atHome} open its own, 0 the university's`
      },
    },
    {
      name: 'a cut link deletes nothing, and heals',
      run: async () => {
        await eventually('the peers are connected', isConnected) // the search just before kept this process busy, which carries their lines
        const before = await guest()
        federation.cut('st-mary', 'university')
        const cutAt = performance.now()
        await eventually('both notice', async () => {
          for (const [owner, peer] of [[stMary, 'university'] as const, [university, 'st-mary'] as const]) {
            const { ready } = await peerOf(owner, peer)
            if (ready?.status === 'True') throw new Error(`${owner.name} sees ${peer} as Ready`)
          }
          return true
        })
        const noticed = (performance.now() - cutAt) / 1000
        const during = await guest()
        federation.heal('st-mary', 'university')
        const healedAt = performance.now()
        await eventually('the peers are connected again', isConnected)
        const healed = (performance.now() - healedAt) / 1000
        const work = await remoteWorkThat(
          stMary,
          asked,
          'the lease is active',
          ({ status }) => status.lease?.state === 'Active' && status.readyReplicas === 1,
        )
        const after = await guest()
        if (new Set([before, during, after].map(({ metadata }) => metadata.uid)).size > 1)
          throw new Error('the guest is not the same pod')
        return `noticed after ${noticed.toFixed(1)} s, back after ${healed.toFixed(1)} s; same pod, same epoch ${work.status.lease?.epoch}`
      },
    },
    {
      name: 'a frozen owner stops its guests, and says so',
      run: async () => {
        await university.hansa('peer', 'freeze', 'st-mary', '--reason', 'demo')
        const frozenAt = performance.now()
        await eventually('no guest runs', async () => {
          const pods = await guestPods(university, guests)
          if (pods.length > 0) throw new Error(`${pods.length} pods`)
          return true
        })
        const seconds = (performance.now() - frozenAt) / 1000
        const { ready } = await eventually('the other side hears of it', async () => {
          const seen = await peerOf(stMary, 'university')
          return seen.ready?.status === 'True' ? undefined : seen
        })
        await university.hansa('peer', 'unfreeze', 'st-mary')
        await eventually('the peers are connected again', isConnected)
        return `no guest after ${seconds.toFixed(1)} s; St. Mary sees ${ready?.reason}`
      },
    },
  ]
}
