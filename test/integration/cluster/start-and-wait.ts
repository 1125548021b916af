import { startOwner } from '../../cluster/owner.ts'

// A program for a test to kill: starts an owner, says what it started, and waits.
const owner = await startOwner({ name: 'doomed' })
const pids = Object.values(owner.parts).map((part) => part.pid)
process.stdout.write(`${JSON.stringify({ dir: owner.dir, pids })}\n`)
setInterval(() => undefined, 60_000)
