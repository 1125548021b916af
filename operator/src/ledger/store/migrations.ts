const grant = 'side TEXT NOT NULL, peer TEXT NOT NULL, request_id TEXT NOT NULL, epoch INTEGER NOT NULL'
const ofGrant = 'side, peer, request_id, epoch'

/**
 * Each entry is one version of the tables; entries are only ever added. Written for SQLite; PostgreSQL gets BIGINT for INTEGER and the "C"
 * collation, so that both sort alike.
 */
export const migrations: readonly (readonly string[])[] = [
  [
    'CREATE TABLE spools (gateway TEXT PRIMARY KEY, next INTEGER NOT NULL)',
    `CREATE TABLE grants (${grant}, body TEXT NOT NULL, PRIMARY KEY (${ofGrant}))`,
    `CREATE TABLE receipts (${grant}, id TEXT NOT NULL, leaf TEXT NOT NULL, body TEXT, ended INTEGER NOT NULL, claim INTEGER,
      PRIMARY KEY (${ofGrant}, id))`,
    `CREATE INDEX receipts_of_claim ON receipts (${ofGrant}, claim, leaf)`,
    `CREATE INDEX receipts_without_claim ON receipts (${ofGrant}, leaf) WHERE claim IS NULL`,
    'CREATE INDEX receipts_by_age ON receipts (ended) WHERE body IS NOT NULL',
    `CREATE TABLE salts (${grant}, id TEXT NOT NULL, salt TEXT NOT NULL, caller_name TEXT, made INTEGER NOT NULL,
      PRIMARY KEY (${ofGrant}, id))`,
    'CREATE INDEX salts_by_caller ON salts (caller_name) WHERE caller_name IS NOT NULL',
    'CREATE INDEX salts_by_age ON salts (made)',
    `CREATE TABLE observations (${grant}, id TEXT NOT NULL, sent TEXT, seen TEXT, made INTEGER NOT NULL,
      PRIMARY KEY (${ofGrant}, id))`,
    `CREATE TABLE claims (${grant}, number INTEGER NOT NULL, identity TEXT NOT NULL, payload_sha256 TEXT NOT NULL,
      until_at INTEGER NOT NULL, state TEXT NOT NULL, envelope TEXT NOT NULL, settlement TEXT, receipts INTEGER NOT NULL,
      requests INTEGER NOT NULL, reserved INTEGER NOT NULL, PRIMARY KEY (${ofGrant}, number))`,
    `CREATE INDEX claims_not_agreed ON claims (side, peer, state) WHERE state <> 'Agreed'`,
    `CREATE TABLE settlements (${grant}, number INTEGER NOT NULL, payload_sha256 TEXT NOT NULL, sequence INTEGER NOT NULL,
      envelope TEXT NOT NULL, PRIMARY KEY (${ofGrant}, number, payload_sha256))`,
    'CREATE TABLE logs (identity TEXT PRIMARY KEY, size INTEGER NOT NULL)',
    `CREATE TABLE entries (identity TEXT NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, peer TEXT NOT NULL, side TEXT NOT NULL,
      envelope TEXT NOT NULL, PRIMARY KEY (identity, position))`,
    `CREATE TABLE nodes (identity TEXT NOT NULL, level INTEGER NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL,
      PRIMARY KEY (identity, level, position))`,
    'CREATE INDEX nodes_by_leaf ON nodes (identity, hash) WHERE level = 0',
    'CREATE TABLE checkpoints (identity TEXT NOT NULL, size INTEGER NOT NULL, envelope TEXT NOT NULL, PRIMARY KEY (identity, size))',
    `CREATE TABLE cosignatures (identity TEXT NOT NULL, size INTEGER NOT NULL, witness TEXT NOT NULL, envelope TEXT NOT NULL,
      PRIMARY KEY (identity, size, witness))`,
    'CREATE TABLE witnessed (peer TEXT PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, envelope TEXT NOT NULL)',
    `CREATE TABLE bundles (trust_domain TEXT NOT NULL, cluster_name TEXT NOT NULL, sequence INTEGER NOT NULL, envelope TEXT NOT NULL,
      PRIMARY KEY (trust_domain, cluster_name, sequence))`,
    'CREATE TABLE outbox (peer TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, envelope TEXT NOT NULL, PRIMARY KEY (peer, key))',
    'CREATE TABLE events (sequence INTEGER PRIMARY KEY, body TEXT NOT NULL)',
  ],
]
