//! The limit of storing: SQLite alone, with the monitor's own tables and settings, inserting rows that are
//! ready in memory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::process;

/// A copy of a monitor's database with some of its rows in memory.
pub(crate) struct Inserts {
    connection: Connection,
    events: Table,
    payloads: Table,
    last_seq: i64,
}

/// The rows of a table, and the statement that inserts one like them.
struct Table {
    insert: String,
    rows: Vec<Vec<Value>>,
}

impl Inserts {
    /// Takes over the database of a monitor that has ended.
    pub(crate) fn of(database: &Path) -> Result<Self> {
        let connection = Connection::open(database)?;
        // As the store sets them; what else it sets is kept in the file.
        for (name, value) in
            [("synchronous", "NORMAL"), ("cache_size", "-8192"), ("wal_autocheckpoint", "4096")]
        {
            connection.pragma_update(None, name, value)?;
        }
        connection.set_prepared_statement_cache_capacity(8);
        let (events, payloads) = (Table::read(&connection, "events")?, Table::read(&connection, "payloads")?);
        let last_seq = connection.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
        Ok(Self { connection, events, payloads, last_seq })
    }

    /// Inserts for a while, so many events in one commit. Answers how many events a second that was, and how much
    /// processor time each took, in µs.
    pub(crate) fn rate(&mut self, group: usize, time: Duration) -> Result<(f64, f64)> {
        let (start, cpu, before) = (Instant::now(), process::cpu("self")?, self.last_seq);
        while start.elapsed() < time {
            let change = self.connection.transaction()?;
            for _ in 0..group {
                self.last_seq += 1;
                let at = self.last_seq as usize % self.events.rows.len();
                let (event, payload) = (&mut self.events.rows[at], &mut self.payloads.rows[at]);
                event[0] = Value::Integer(self.last_seq);
                event[1] = Value::Blob(uuid::Uuid::now_v7().into_bytes().to_vec());
                payload[0] = Value::Integer(self.last_seq);
                change.prepare_cached(&self.events.insert)?.execute(params_from_iter(event.iter()))?;
                change.prepare_cached(&self.payloads.insert)?.execute(params_from_iter(payload.iter()))?;
            }
            change.commit()?;
        }
        let count = (self.last_seq - before) as f64;
        let cpu = process::cpu("self")? - cpu;
        Ok((count / start.elapsed().as_secs_f64(), cpu.as_secs_f64() * 1e6 / count))
    }
}

impl Table {
    fn read(connection: &Connection, name: &str) -> Result<Self> {
        let mut find = connection.prepare(&format!("SELECT * FROM {name} ORDER BY seq LIMIT 1000"))?;
        let columns = find.column_count();
        let rows = find.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
        let rows = rows.collect::<rusqlite::Result<_>>()?;
        let places = vec!["?"; columns].join(", ");
        Ok(Self { insert: format!("INSERT INTO {name} VALUES ({places})"), rows })
    }
}
