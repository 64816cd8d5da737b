//! The table that people read, and the same as JSON.

use serde::Serialize;

/// Everything measured.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub sections: Vec<Section>,
}

/// Figures of one kind.
#[derive(Serialize)]
pub(crate) struct Section {
    pub title: &'static str,
    pub figures: Vec<Figure>,
}

/// One figure beside its limit, which was measured in the same run.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    /// What no program of this kind can do better than.
    pub limit: Option<Limit>,
    /// What else there is to say.
    pub note: String,
}

#[derive(Serialize)]
pub(crate) struct Limit {
    pub what: &'static str,
    pub value: f64,
    /// The figure as a share of the limit.
    pub ratio: f64,
}

impl Report {
    pub(crate) fn section(&mut self, title: &'static str) {
        println!("\n{title}\n  {:<44} {:>16} {:>16} {:>7}", "", "measured", "limit", "ratio");
        self.sections.push(Section { title, figures: Vec::new() });
    }

    /// Prints a figure and keeps it.
    pub(crate) fn add(&mut self, figure: Figure) {
        let value = format!("{} {}", number(figure.value), figure.unit);
        let (limit, ratio, name) = match &figure.limit {
            Some(limit) => (number(limit.value), format!("{:.2}", limit.ratio), limit.what),
            None => (String::new(), String::new(), ""),
        };
        let note = [name, &figure.note].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        println!("  {:<44} {value:>16} {limit:>16} {ratio:>7}  {}", figure.what, note.join("; "));
        if let Some(section) = self.sections.last_mut() {
            section.figures.push(figure);
        }
    }
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, limit: None, note: String::new() }
    }

    pub(crate) fn beside(mut self, what: &'static str, value: f64) -> Self {
        self.limit = Some(Limit { what, value, ratio: self.value / value });
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// Enough digits to compare, no more.
pub(crate) fn number(value: f64) -> String {
    match value {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The middle of several measurements.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The value that so many percent do not exceed.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}
