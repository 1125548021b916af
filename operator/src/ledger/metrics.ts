import { Counter, Gauge, type Registry } from 'prom-client'

export type LedgerMetrics = {
  records(taken: number): void
  claimed(peer: string): void
  settled(peer: string, side: 'Executor' | 'Requester', state: 'Agreed' | 'Disputed'): void
  cosigned(peer: string): void
  forked(peer: string): void
  failed(what: string): void
  set(gauge: 'stopped' | 'open' | 'halted', value: number): void
}

/** Registers what the ledger counts. */
export function ledgerMetrics(registry: Registry): LedgerMetrics {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers })
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers })
  const records = counter('hansa_ledger_records_total', 'Records that gateways handed over.', [])
  const claims = counter('hansa_ledger_claims_total', 'Claims made.', ['peer'])
  const settlements = counter(
    'hansa_ledger_settlements_total',
    'Claims settled, ours (Executor) and theirs (Requester).',
    ['peer', 'side', 'state'],
  )
  const cosignatures = counter('hansa_ledger_cosignatures_total', 'Checkpoints of ours that a peer cosigned.', ['peer'])
  const forks = counter(
    'hansa_ledger_forks_total',
    'Checkpoints of a peer that do not go on from the one seen before.',
    ['peer'],
  )
  const failures = counter('hansa_ledger_failures_total', 'Rounds of work that failed and are repeated.', ['what'])
  const gauges = {
    stopped: gauge('hansa_ledger_stopped_grants', 'Grants under which nothing is served until claims are agreed.'),
    open: gauge('hansa_ledger_open_claims', 'Claims of ours that are not answered yet.'),
    halted: gauge(
      'hansa_ledger_halted',
      '1 while the ledger does not go on, since its log is not the one that witnesses saw.',
    ),
  }
  return {
    records: (taken) => records.inc(taken),
    claimed: (peer) => claims.inc({ peer }),
    settled: (peer, side, state) => settlements.inc({ peer, side, state }),
    cosigned: (peer) => cosignatures.inc({ peer }),
    forked: (peer) => forks.inc({ peer }),
    failed: (what) => failures.inc({ what }),
    set: (name, value) => gauges[name].set(value),
  }
}
