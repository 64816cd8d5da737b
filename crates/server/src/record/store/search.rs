//! Full-text search: what of an event is searchable, the index that follows behind the log, and the words of
//! a search.

use std::fmt;

use protocol::Seq;
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Events indexed in one piece of idle work: a few milliseconds, so that a new event hardly waits.
const BATCH_EVENTS: usize = 64;

/// Text of one event that is indexed. The start of a long output or file tells what it was.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// The position up to which everything can be found.
pub(super) fn indexed(connection: &Connection) -> rusqlite::Result<Seq> {
    let seq: Option<u64> = connection
        .query_row("SELECT value FROM meta WHERE name = 'indexed'", [], |row| row.get(0))
        .optional()?;
    Ok(Seq(seq.unwrap_or(0)))
}

/// Indexes the next few events behind `from`; `None` when there is nothing left to index.
pub(super) fn index_some(connection: &mut Connection, from: Seq) -> rusqlite::Result<Option<Seq>> {
    let change = connection.transaction()?;
    let mut last = None;
    {
        let mut next = change.prepare_cached(
            "SELECT e.seq, e.summary, p.payload FROM events e JOIN payloads p ON p.seq = e.seq
             WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2",
        )?;
        let mut insert = change.prepare_cached("INSERT INTO search (rowid, text) VALUES (?1, ?2)")?;
        let mut rows = next.query(params![from.0, BATCH_EVENTS])?;
        while let Some(row) = rows.next()? {
            let seq: u64 = row.get(0)?;
            let text = searchable(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
            insert.execute(params![seq, text])?;
            last = Some(Seq(seq));
        }
    }
    if let Some(Seq(seq)) = last {
        let mut save = change.prepare_cached(
            "INSERT INTO meta (name, value) VALUES ('indexed', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
        )?;
        save.execute([seq])?;
    }
    change.commit()?;
    Ok(last)
}

/// The words of a search as an FTS5 expression: all must occur, each may be the start of a longer word.
/// `None` when there is nothing to search for.
pub(super) fn expression(text: &str) -> Option<String> {
    // A NUL would end the expression in the middle of a word.
    let words = text.split(|c: char| c.is_whitespace() || c == '\0');
    let words = words.filter(|word| word.chars().any(char::is_alphanumeric));
    let words: Vec<String> = words.map(|word| format!("\"{}\"*", word.replace('"', "\"\""))).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The summary and every text value of the payload; field names are not content.
fn searchable(summary: &str, payload: &str) -> String {
    let mut text = summary.to_owned();
    let mut reader = serde_json::Deserializer::from_str(payload);
    // A value that stops early (the limit) or oddly leaves what was collected so far.
    let _ = serde::de::DeserializeSeed::deserialize(Texts(&mut text), &mut reader);
    text
}

/// Collects the texts of a JSON value.
struct Texts<'t>(&'t mut String);

impl<'de> serde::de::DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let room = TEXT_BYTES_MAX.saturating_sub(self.0.len() + 1);
        if room == 0 {
            return Err(E::custom("enough"));
        }
        let mut end = value.len().min(room);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push('\n');
        self.0.push_str(&value[..end]);
        Ok(())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Texts(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element_seed(Texts(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(deserializer).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_searchable_and_field_names_are_not() {
        let text = searchable(
            "Bash  ls",
            r#"{"tool_name":"Bash","list":["one",{"deep":"two"}],"n":7,"none":null,"yes":true}"#,
        );
        assert_eq!(text, "Bash  ls\nBash\none\ntwo");
    }

    #[test]
    fn a_search_is_words_that_must_all_occur() {
        assert_eq!(expression("cargo te"), Some("\"cargo\"* \"te\"*".to_owned()));
        assert_eq!(expression("say \"hi\" --"), Some("\"say\"* \"\"\"hi\"\"\"*".to_owned()));
        assert_eq!(expression("one\0two"), Some("\"one\"* \"two\"*".to_owned()));
        assert_eq!(expression(" -- "), None);
    }
}
