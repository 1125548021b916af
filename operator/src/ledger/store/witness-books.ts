import type { Checkpoint } from '../../federation/messages.ts'
import { HansaError } from '../../process/errors.ts'
import type { Cosignature } from '../message-types.ts'
import { type Database, number, type Row, text } from './database.ts'
import { payloadOf } from './rows.ts'
import type { KeptCheckpoint, KeptCosignature, LedgerStore } from './store.ts'

type Methods =
  | 'saveCheckpoint'
  | 'lastCheckpoint'
  | 'checkpoints'
  | 'saveCosignature'
  | 'cosignatures'
  | 'saveWitnessed'
  | 'witnessed'
  | 'saveBundle'
  | 'bundles'
  | 'putOutbox'
  | 'outbox'
  | 'delivered'

/** Checkpoints of ours and of others, bundles, and messages on their way. */
export function witnessBooks(db: Database): Pick<LedgerStore, Methods> {
  return {
    saveCheckpoint: (identity, { checkpoint, envelope }) =>
      db.transaction(async (sql) => {
        await sql(
          'INSERT INTO checkpoints (identity, size, envelope) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
          identity,
          checkpoint.size,
          envelope,
        )
      }),
    lastCheckpoint: (identity) =>
      db.transaction(async (sql) => {
        const [row] = await sql(
          'SELECT envelope FROM checkpoints WHERE identity = ? ORDER BY size DESC LIMIT 1',
          identity,
        )
        return row === undefined ? undefined : checkpointOf(row)
      }),
    checkpoints: (identity, after, limit) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT envelope FROM checkpoints WHERE identity = ? AND size > ? ORDER BY size LIMIT ?',
          identity,
          after,
          limit,
        )
        return rows.map(checkpointOf)
      }),
    saveCosignature: (identity, { witness, cosignature, envelope }) =>
      db.transaction(async (sql) => {
        await sql(
          'INSERT INTO cosignatures (identity, size, witness, envelope) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
          ...[identity, cosignature.size, witness, envelope],
        )
      }),
    cosignatures: (identity, size) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT witness, envelope FROM cosignatures WHERE identity = ? AND size = ? ORDER BY witness',
          identity,
          size,
        )
        return rows.map((row): KeptCosignature => {
          const envelope = text(row, 'envelope')
          return { witness: text(row, 'witness'), cosignature: payloadOf<Cosignature>(envelope), envelope }
        })
      }),
    saveWitnessed: (peer, { checkpoint, envelope }) =>
      db.transaction(async (sql) => {
        const { size, root } = checkpoint
        const [known] = await sql('SELECT size, root FROM witnessed WHERE peer = ?', peer)
        if (known !== undefined && number(known, 'size') === size && text(known, 'root') !== root) {
          throw new HansaError('LedgerConflict', `Peer ${peer} showed two logs of ${size} entries`, { retry: 'never' })
        }
        if (known !== undefined && number(known, 'size') >= size) return
        await sql(
          `INSERT INTO witnessed (peer, size, root, envelope) VALUES (?, ?, ?, ?)
            ON CONFLICT (peer) DO UPDATE SET size = excluded.size, root = excluded.root, envelope = excluded.envelope`,
          ...[peer, size, root, envelope],
        )
      }),
    witnessed: (peer) =>
      db.transaction(async (sql) => {
        const [row] = await sql('SELECT envelope FROM witnessed WHERE peer = ?', peer)
        return row === undefined ? undefined : checkpointOf(row)
      }),
    saveBundle: (trustDomain, clusterName, sequence, envelope) =>
      db.transaction(async (sql) => {
        await sql(
          'INSERT INTO bundles (trust_domain, cluster_name, sequence, envelope) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
          ...[trustDomain, clusterName, sequence, envelope],
        )
      }),
    bundles: (trustDomain, clusterName) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT envelope FROM bundles WHERE trust_domain = ? AND cluster_name = ? ORDER BY sequence',
          trustDomain,
          clusterName,
        )
        return rows.map((row) => text(row, 'envelope'))
      }),
    putOutbox: ({ peer, key, kind, envelope }) =>
      db.transaction(async (sql) => {
        await sql(
          `INSERT INTO outbox (peer, key, kind, envelope) VALUES (?, ?, ?, ?)
            ON CONFLICT (peer, key) DO UPDATE SET kind = excluded.kind, envelope = excluded.envelope`,
          ...[peer, key, kind, envelope],
        )
      }),
    outbox: (peer, limit) =>
      db.transaction(async (sql) => {
        const rows = await sql(
          'SELECT peer, key, kind, envelope FROM outbox WHERE peer = ? ORDER BY key LIMIT ?',
          peer,
          limit,
        )
        return rows.map((row) => ({
          peer,
          key: text(row, 'key'),
          kind: text(row, 'kind'),
          envelope: text(row, 'envelope'),
        }))
      }),
    delivered: (peer, key) =>
      db.transaction(async (sql) => void (await sql('DELETE FROM outbox WHERE peer = ? AND key = ?', peer, key))),
  }
}

function checkpointOf(row: Row): KeptCheckpoint {
  const envelope = text(row, 'envelope')
  return { checkpoint: payloadOf<Checkpoint>(envelope), envelope }
}
