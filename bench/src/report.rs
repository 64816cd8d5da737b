//! The report: what was measured by this program and by those that it runs, as a table that people read and as JSON.
//! What comes from elsewhere has the same shape as what goes out.

use serde::{Deserialize, Serialize};

/// Everything measured.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub sections: Vec<Section>,
}

/// Figures of one kind.
#[derive(Serialize, Deserialize)]
pub(crate) struct Section {
    pub title: String,
    pub figures: Vec<Figure>,
}

/// One figure beside its limit, which was measured in the same run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: String,
    /// What no program of this kind can do better than.
    pub limit: Option<Limit>,
    /// What the product must reach.
    pub asked: Option<Asked>,
    /// What else there is to say.
    #[serde(default)]
    pub note: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Limit {
    pub what: String,
    pub value: f64,
    /// The figure as a share of the limit; counted anew for figures that come from elsewhere.
    #[serde(skip_deserializing)]
    pub ratio: f64,
}

/// A bound in the figure's unit. Bounds that are shares of a limit hold on every machine; the others are meant for one
/// on which a process that exits at once takes 0.6 ms.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

impl Asked {
    /// Whether a value is within the bound.
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    /// As in the table: `≤ 10.0`.
    pub(crate) fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {}", number(bound)),
            Self::AtLeast(bound) => format!("≥ {}", number(bound)),
        }
    }
}

impl Report {
    pub(crate) fn section(&mut self, title: impl Into<String>) {
        let title = title.into();
        println!("\n{title}\n  {:<46} {:>16} {:>10} {:>7} {:>10}", "", "measured", "limit", "ratio", "asked");
        self.sections.push(Section { title, figures: Vec::new() });
    }

    /// Prints a figure and keeps it.
    pub(crate) fn add(&mut self, figure: Figure) {
        let value = format!("{} {}", number(figure.value), figure.unit);
        let (limit, ratio, name) = match &figure.limit {
            Some(limit) => (number(limit.value), format!("{:.2}", limit.ratio), limit.what.as_str()),
            None => (String::new(), String::new(), ""),
        };
        let (asked, missed) = match figure.asked {
            Some(asked) => (asked.text(), if asked.is_met(figure.value) { "" } else { "missed" }),
            None => (String::new(), ""),
        };
        let note = [missed, name, &figure.note].into_iter().filter(|text| !text.is_empty());
        let note = note.collect::<Vec<_>>().join("; ");
        println!("  {:<46} {value:>16} {limit:>10} {ratio:>7} {asked:>10}  {note}", figure.what);
        if let Some(section) = self.sections.last_mut() {
            section.figures.push(figure);
        }
    }

    /// Takes in what another program measured.
    pub(crate) fn include(&mut self, other: Self) {
        for section in other.sections {
            self.section(section.title);
            for mut figure in section.figures {
                if let Some(Limit { what, value, .. }) = figure.limit.take() {
                    figure = figure.beside(what, value);
                }
                self.add(figure);
            }
        }
    }
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &str) -> Self {
        let (what, unit) = (what.into(), unit.to_owned());
        Self { what, value, unit, limit: None, asked: None, note: String::new() }
    }

    pub(crate) fn beside(mut self, what: impl Into<String>, value: f64) -> Self {
        // An idle limit may be nothing at all, and nothing has no multiple.
        let ratio = if value > 0.0 { self.value / value } else { 0.0 };
        self.limit = Some(Limit { what: what.into(), value, ratio });
        self
    }

    pub(crate) fn at_most(mut self, bound: f64) -> Self {
        self.asked = Some(Asked::AtMost(bound));
        self
    }

    pub(crate) fn at_least(mut self, bound: f64) -> Self {
        self.asked = Some(Asked::AtLeast(bound));
        self
    }

    /// At least this share of its limit.
    pub(crate) fn at_least_of_limit(self, share: f64) -> Self {
        match &self.limit {
            Some(limit) => {
                let bound = share * limit.value;
                self.at_least(bound)
            }
            None => self,
        }
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
