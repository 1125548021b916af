import { text } from 'node:stream/consumers'
import type { Owner } from '../../cluster/owner.ts'
import { startProcessNode } from '../../cluster/process-node/process-node.ts'
import { images } from './harness.ts'

/** A node in a process of its own, for tests that kill it; the cluster and a credential come as JSON on standard input. */
type Input = Pick<Owner, 'serverUrl' | 'caPem'> & { name: string; credential: { certPem: string; keyPem: string } }

// The test that starts this program writes its input.
const { name, credential, ...owner } = JSON.parse(await text(process.stdin)) as Input
const node = await startProcessNode({ owner: { ...owner, issueCertificate: async () => credential }, name, images })
console.log(JSON.stringify({ dir: node.dir }))
setInterval(() => undefined, 1_000)
