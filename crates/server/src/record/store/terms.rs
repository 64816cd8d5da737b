//! The query language of the dashboard, as conditions of the database:
//! `tool:Bash,Edit -status:error dur:>5s session:3f0c project:shop some words`.
//!
//! The dashboard reads the same language over the rows that it has loaded (`ui/src/lib/query/query.ts`).

use protocol::Kind;
use rusqlite::types::ToSql;
use uuid::Uuid;

/// A query taken apart. What is no condition is a word.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    conditions: Vec<Condition>,
    /// What every event must contain somewhere; none when there are only conditions.
    pub words: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    field: Field,
    /// Any of them will do.
    values: Vec<String>,
    is_negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Tool,
    Status,
    Duration,
    Session,
    Project,
    Agent,
    Kind,
    Id,
}

/// One condition of the database and its values.
pub(super) type Sql = (String, Vec<Box<dyn ToSql>>);

impl Terms {
    /// Reads a query; nothing in it is an error, for what is no condition is a word.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut conditions, mut words) = (Vec::new(), Vec::new());
        for term in split(text) {
            match condition(&term) {
                Some(condition) => conditions.push(condition),
                None => words.push(term.replace('"', "")),
            }
        }
        Self { conditions, words: (!words.is_empty()).then(|| words.join(" ")) }
    }

    /// What the conditions compare with.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().flat_map(|condition| &condition.values).map(String::as_str)
    }

    /// What the conditions ask of a row `e`.
    pub(super) fn sql(&self) -> Vec<Sql> {
        self.conditions.iter().filter_map(Condition::sql).collect()
    }
}

impl Condition {
    /// Nothing when none of the values means anything: that must not hide everything.
    fn sql(&self) -> Option<Sql> {
        let parts: Vec<Sql> = self.values.iter().filter_map(|value| value_sql(self.field, value)).collect();
        let any = parts.iter().map(|(sql, _)| sql.as_str()).collect::<Vec<_>>().join(" OR ");
        let values = parts.into_iter().flat_map(|(_, values)| values).collect();
        let sql = if self.is_negated { format!("NOT coalesce(({any}), 0)") } else { format!("({any})") };
        (!any.is_empty()).then_some((sql, values))
    }
}

fn value_sql(field: Field, value: &str) -> Option<Sql> {
    Some(match field {
        Field::Tool => alike("e.tool_name", value),
        Field::Kind if value.contains('*') => alike("e.kind", value),
        Field::Kind => alike("e.kind", Kind::from_name(value).as_str()),
        Field::Status => match value.to_ascii_lowercase().as_str() {
            "error" => ("e.is_error".to_owned(), vec![]),
            "ok" => ("NOT e.is_error".to_owned(), vec![]),
            _ => return None,
        },
        Field::Duration => {
            let (operator, ms) = limit(value)?;
            (format!("e.duration_ms {operator} ?"), vec![Box::new(ms)])
        }
        // A range finds a prefix by the index.
        Field::Session => (
            "(e.session_id >= ? AND e.session_id < ?)".to_owned(),
            vec![Box::new(value.to_owned()), Box::new(format!("{value}{}", char::MAX))],
        ),
        Field::Agent if value.eq_ignore_ascii_case("main") => ("e.agent_id IS NULL".to_owned(), vec![]),
        Field::Agent => either(alike("e.agent_type", value), alike("e.agent_id", value)),
        Field::Project => project(value),
        Field::Id => {
            let id = Uuid::try_parse(value).ok()?;
            ("e.id = ?".to_owned(), vec![Box::new(id.into_bytes().to_vec())])
        }
    })
}

/// The folder's name, its whole path, or a folder above it.
fn project(value: &str) -> Sql {
    let folder = value.replace('\\', "/");
    let folder = folder.trim_end_matches('/');
    let path = "replace(e.project, '\\', '/')";
    let like = |pattern: String| -> Sql { (format!("{path} LIKE ? ESCAPE '^'"), vec![Box::new(pattern)]) };
    let name = pattern(folder);
    either(either(like(format!("%/{name}")), like(format!("{name}/%"))), like(name))
}

fn either((a, mut values): Sql, (b, more): Sql) -> Sql {
    values.extend(more);
    (format!("({a} OR {b})"), values)
}

/// Equality whatever the case, with `*` for anything.
fn alike(column: &str, value: &str) -> Sql {
    (format!("{column} LIKE ? ESCAPE '^'"), vec![Box::new(pattern(value))])
}

fn pattern(value: &str) -> String {
    let mut pattern = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '*' => pattern.push('%'),
            '%' | '_' | '^' => pattern.extend(['^', character]),
            other => pattern.push(other),
        }
    }
    pattern
}

/// `>5s`, `<200ms`, `2m`; without a sign, at least that long; without a unit, seconds.
fn limit(value: &str) -> Option<(&'static str, f64)> {
    let (operator, rest) = match value.strip_prefix('<') {
        Some(rest) => ("<", rest),
        None => (">=", value.strip_prefix('>').unwrap_or(value)),
    };
    let rest = rest.strip_prefix('=').unwrap_or(rest).to_ascii_lowercase();
    let unit = rest.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
    let number: f64 = rest[..rest.len() - unit.len()].parse().ok()?;
    let factor = match unit {
        "ms" => 1.0,
        "s" | "" => 1000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return None,
    };
    Some((operator, number * factor))
}

/// Terms are apart by blanks, but for those inside double quotes.
fn split(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut is_quoted = false;
    for character in text.chars() {
        if character == '"' {
            is_quoted = !is_quoted;
        }
        match terms.last_mut() {
            Some(term) if is_quoted || !character.is_whitespace() => term.push(character),
            _ => terms.push(String::new()),
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}

fn condition(term: &str) -> Option<Condition> {
    let (is_negated, rest) = term.strip_prefix('-').map_or((false, term), |rest| (true, rest));
    let (name, values) = rest.split_once(':')?;
    let field = match name.to_ascii_lowercase().as_str() {
        "tool" => Field::Tool,
        "status" => Field::Status,
        "dur" => Field::Duration,
        "session" => Field::Session,
        "project" => Field::Project,
        "agent" => Field::Agent,
        "kind" => Field::Kind,
        "id" => Field::Id,
        _ => return None,
    };
    let values = listed(values);
    (!values.is_empty()).then_some(Condition { field, values, is_negated })
}

/// The values between commas, but for commas inside double quotes.
fn listed(values: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut is_quoted = false;
    for character in values.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => all.push(String::new()),
            other => all.iter_mut().last().map(|value| value.push(other)).unwrap_or_default(),
        }
    }
    all.retain(|value| !value.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<String> {
        Terms::parse(text).words
    }

    #[test]
    fn what_is_no_condition_is_a_word() {
        assert_eq!(words("tool:Bash round the tax"), Some("round the tax".to_owned()));
        assert_eq!(words("http://x foo:bar tool:"), Some("http://x foo:bar tool:".to_owned()));
        assert_eq!(words("status:error -dur:>5s"), None);
    }

    #[test]
    fn quotes_keep_blanks_and_commas_together() {
        let terms = Terms::parse(r#"project:"my shop",b tool:"a,b""#);
        let values: Vec<_> = terms.conditions.iter().map(|condition| condition.values.clone()).collect();
        assert_eq!(values, [vec!["my shop", "b"], vec!["a,b"]]);
    }

    #[test]
    fn a_limit_has_a_sign_a_number_and_a_unit() {
        assert_eq!(limit(">5s"), Some((">=", 5000.0)));
        assert_eq!(limit("<200ms"), Some(("<", 200.0)));
        assert_eq!(limit("1.5m"), Some((">=", 90_000.0)));
        assert_eq!(limit(">=2"), Some((">=", 2000.0)));
        assert_eq!(limit("soon"), None);
        assert_eq!(limit("5 years"), None);
    }

    #[test]
    fn a_condition_that_means_nothing_asks_for_nothing() {
        assert!(Terms::parse("status:maybe dur:long").sql().is_empty());
        assert_eq!(Terms::parse("status:maybe,ok").sql().len(), 1);
    }
}
