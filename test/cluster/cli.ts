import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { startOwner } from './owner.ts'

const usage = `Usage: node test/cluster/cli.ts up --name NAME [--dir FOLDER] [--node-ports 30000-32767]

Starts the control plane of one owner on this machine, prints where its kubeconfig lies, and stops it on Ctrl-C.`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string' },
    dir: { type: 'string' },
    'node-ports': { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})

if (values.help || positionals[0] !== 'up' || values.name === undefined) {
  process.stderr.write(`${usage}\n`)
  process.exit(values.help ? 0 : 2)
}

const interrupt = new AbortController()
const interrupted = once(interrupt.signal, 'abort')
process.once('SIGINT', () => interrupt.abort())
process.once('SIGTERM', () => interrupt.abort())
const owner = await startOwner({
  name: values.name,
  signal: interrupt.signal,
  log: (line) => process.stderr.write(`${line}\n`),
  ...(values.dir === undefined ? {} : { dir: values.dir }),
  ...(values['node-ports'] === undefined ? {} : { nodePortRange: values['node-ports'] }),
}).catch((error: unknown) => {
  if (interrupt.signal.aborted) process.exit(130)
  throw error
})
process.stdout.write(`export KUBECONFIG=${owner.kubeconfigPath}\n`)
process.stderr.write(`logs in ${owner.dir}/logs; Ctrl-C stops ${owner.name}\n`)
await interrupted
await owner.stop()
