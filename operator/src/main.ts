import { collectDefaultMetrics, Registry } from 'prom-client'
import { parseEnv } from './process/env.ts'
import { messageOf } from './process/errors.ts'
import { createLogger } from './process/log.ts'
import { onShutdown } from './process/shutdown.ts'

const help = `usage: main.ts operator | gateway | link | ledger

operator   controllers and certificate authority
gateway    user traffic
link       other owners' links
ledger     receipts of what owners do for each other

Settings are environment variables; docs/settings.md lists them.`

const [name] = process.argv.slice(2)

async function start(): Promise<void> {
  if (name !== 'operator' && name !== 'gateway' && name !== 'link' && name !== 'ledger') {
    console.error(help)
    process.exitCode = 2
    return
  }
  const log = createLogger(name, process.env.HANSA_LOG_LEVEL)
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  let close: () => Promise<void> = async () => undefined
  // The pod's own grace period is the limit: the gateway drains as long as its settings say.
  const stopping = onShutdown(log, () => close(), { graceSeconds: 3600 })
  try {
    if (name === 'operator') {
      const { startOperator } = await import('./operator/start.ts')
      const { operatorSettings } = await import('./operator/settings.ts')
      const running = await startOperator(parseEnv(operatorSettings, process.env), { log, registry, signal: stopping })
      close = running.close
    } else if (name === 'link') {
      const { startLink } = await import('./link/start.ts')
      const { linkSettings } = await import('./link/settings.ts')
      const running = await startLink(linkSettings(process.env), { log, registry, signal: stopping })
      close = running.close
    } else if (name === 'ledger') {
      const { startLedger } = await import('./ledger/start.ts')
      const { ledgerSettings } = await import('./ledger/settings.ts')
      const running = await startLedger(ledgerSettings(process.env), { log, registry, signal: stopping })
      close = running.close
    } else {
      const { startGateway } = await import('./gateway/start.ts')
      const { gatewaySettings } = await import('./gateway/settings.ts')
      const running = await startGateway(gatewaySettings(process.env), { log, registry, signal: stopping })
      close = running.close
    }
  } catch (error) {
    if (stopping.aborted) return
    log.fatal(
      { error: messageOf(error), hint: error instanceof Error && 'hint' in error ? error.hint : undefined },
      'could not start',
    )
    process.exitCode = 1
    setTimeout(() => process.exit(1), 500)
  }
}

await start()
