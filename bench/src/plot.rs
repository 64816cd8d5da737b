//! The report as a picture: a bar for each figure and one for its limit, each pair on a scale of its own because
//! units differ.

use std::fmt::Write as _;

use crate::report::{Figure, Report, Section, number};

const WIDTH: usize = 960;
const ROW: usize = 40;
const LABELS: usize = 360;
const BARS: usize = 330;
const MARGIN: usize = 20;
const TITLE: usize = 44;

/// An SVG that needs no fonts and no style sheet of its own, readable on light and dark pages.
pub(crate) fn svg(report: &Report) -> String {
    let rows: usize = report.sections.iter().map(|section| section.figures.len()).sum();
    let height = report.sections.len() * TITLE + rows * ROW + MARGIN;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fdfcfa"/>
"##
    );
    let mut y = 0;
    for section in &report.sections {
        heading(&mut svg, section, y + TITLE - 14);
        y += TITLE;
        for figure in &section.figures {
            row(&mut svg, figure, y);
            y += ROW;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn heading(svg: &mut String, section: &Section, y: usize) {
    let title = escape(&section.title);
    line(
        svg,
        &format!(
            r##"<text x="{MARGIN}" y="{y}" font-size="16" font-weight="bold" fill="#222">{title}</text>"##
        ),
    );
}

fn row(svg: &mut String, figure: &Figure, y: usize) {
    let limit = figure.limit.as_ref();
    let longest = limit.map_or(figure.value, |limit| limit.value.max(figure.value));
    let length = |value: f64| if longest > 0.0 { value / longest * BARS as f64 } else { 0.0 };
    let middle = y + ROW / 2;
    let left = MARGIN + LABELS;
    let what = escape(&figure.what);
    line(svg, &format!(r##"<text x="{MARGIN}" y="{middle}" fill="#222">{what}</text>"##));
    bar(svg, left, y + 8, length(figure.value), "#b4552d");
    if let Some(limit) = limit {
        bar(svg, left, y + 20, length(limit.value), "#b9b2a8");
    }
    let right = left + BARS + 12;
    let asked = figure.asked.map_or(String::new(), |asked| {
        let missed = if asked.is_met(figure.value) { "" } else { ", missed" };
        format!(" (asked {}{missed})", asked.text())
    });
    let value = format!("{} {}{}", number(figure.value), escape(&figure.unit), escape(&asked));
    line(svg, &format!(r##"<text x="{right}" y="{}" fill="#222">{value}</text>"##, y + 17));
    if let Some(limit) = limit {
        let beside = format!("{:.2} × {} ({})", limit.ratio, number(limit.value), escape(&limit.what));
        line(
            svg,
            &format!(r##"<text x="{right}" y="{}" font-size="11" fill="#6b655d">{beside}</text>"##, y + 31),
        );
    }
}

fn bar(svg: &mut String, x: usize, y: usize, length: f64, colour: &str) {
    let length = length.max(1.0);
    line(svg, &format!(r#"<rect x="{x}" y="{y}" width="{length:.1}" height="10" rx="2" fill="{colour}"/>"#));
}

fn line(svg: &mut String, text: &str) {
    let _ = writeln!(svg, "{text}");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
