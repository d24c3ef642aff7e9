//! Plots as SVG: lines over an axis, bands and marks behind them. A plot is a figure of a page, or one of several in a
//! document of their own. Colors are classes: the page or the document decides what they are.

use std::fmt::Write as _;

use crate::text::escape;
use crate::text::numbers::{float, ratio, whole};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 42.0;

/// The room above: for itself, and for each line of labels.
const TOP: f64 = 12.0;
const LABEL: f64 = 13.0;

/// The most lines of labels: a mark whose label has no room there only has its title.
const LABEL_LINES_MAX: usize = 5;

/// How wide a letter of a label is, about.
const LETTER: f64 = 6.2;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Scale {
    /// The vertical one from zero.
    #[default]
    Linear,
    /// By powers of ten; only values above zero are drawn.
    Logarithmic,
}

pub(super) struct Series {
    pub name: String,
    /// The number of its color: `c0` is the class of the first.
    pub color: usize,
    /// None is a gap.
    pub points: Vec<(f64, Option<f64>)>,
}

pub(super) struct Band {
    pub from: f64,
    pub to: f64,
    pub label: String,
}

pub(super) struct Mark {
    pub at: f64,
    pub label: String,
}

pub(super) struct Plot {
    pub title: String,
    pub series: Vec<Series>,
    pub bands: Vec<Band>,
    pub marks: Vec<Mark>,
    pub vertical: Scale,
    pub horizontal: Scale,
    /// The places of labels on the horizontal axis, with these.
    pub ticks: Vec<(f64, String)>,
    pub axis: &'static str,
    /// A value of the vertical axis for people.
    pub shown: fn(f64) -> String,
}

/// Plots below one another as a document that needs no page, with these styles for its classes. It draws titles and
/// legends itself, and its lines without their points.
pub(super) fn document(title: &str, style: &str, plots: &[Plot]) -> String {
    let height = HEIGHT * float(plots.len() as u64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n<style>{style}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        escape(title)
    );
    for (nth, plot) in (0..).zip(plots) {
        let down = HEIGHT * float(nth);
        let _ = writeln!(svg, "<svg y=\"{down}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">");
        let mut frame = plot.frame();
        frame.top += 2.0 * LABEL;
        plot.grid(&frame, &mut svg);
        plot.series.iter().for_each(|series| plot.line(series, &frame, &mut svg));
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\">{}</text>",
            frame.top - 10.0,
            escape(&plot.title)
        );
        for (nth, series) in (1..).zip(&plot.series) {
            let (x, y) = (LEFT + 10.0, frame.top + 16.0 * float(nth));
            let (color, name) = (series.color, escape(&series.name));
            let _ = writeln!(
                svg,
                "<path class=\"line c{color}\" d=\"M{x} {y:.1}h26\"/><text x=\"{}\" y=\"{:.1}\">{name}</text>",
                x + 32.0,
                y + 4.0
            );
        }
        svg.push_str("</svg>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where the label of a mark stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LabelPlace {
    line: u64,
    /// Left of its mark, as there is no room on the right.
    leftward: bool,
}

struct Frame {
    top: f64,
    left: f64,
    right: f64,
    low: f64,
    high: f64,
    horizontal: Scale,
    vertical: Scale,
}

impl Scale {
    /// How far a value lies between two others, from 0 to 1.
    fn part(self, value: f64, from: f64, to: f64) -> f64 {
        let part = match self {
            Scale::Linear => ratio(value - from, to - from),
            Scale::Logarithmic => ratio(value.log10() - from.log10(), to.log10() - from.log10()),
        };
        part.clamp(0.0, 1.0)
    }
}

impl Frame {
    fn x(&self, at: f64) -> f64 {
        LEFT + self.horizontal.part(at, self.left, self.right) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.vertical.part(value, self.low, self.high) * (HEIGHT - self.top - BOTTOM)
    }
}

impl Plot {
    /// A figure of a page, with its title above and its legend below.
    pub(super) fn figure(&self) -> String {
        let mut svg = String::new();
        let mut frame = self.frame();
        let places = self.places(&frame);
        let lines = places.iter().flatten().map(|place| place.line + 1).max().unwrap_or(0);
        frame.top += LABEL * float(lines);
        let top = frame.top;
        let _ = write!(
            svg,
            "<figure><figcaption>{}</figcaption>\n<div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.title),
            escape(&self.title)
        );
        for band in &self.bands {
            let (from, to) = (frame.x(band.from), frame.x(band.to));
            let _ = writeln!(
                svg,
                "<rect class=\"band\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                (to - from).max(2.0),
                HEIGHT - top - BOTTOM,
                escape(&band.label)
            );
        }
        self.grid(&frame, &mut svg);
        for series in &self.series {
            self.line(series, &frame, &mut svg);
            self.dots(series, &frame, &mut svg);
        }
        // In front of the lines, so that nothing runs through a label.
        self.marks(&places, &frame, &mut svg);
        svg.push_str("</svg></div>\n");
        self.legend(&mut svg);
        svg.push_str("</figure>\n");
        svg
    }

    fn marks(&self, places: &[Option<LabelPlace>], frame: &Frame, svg: &mut String) {
        let height = |place: &LabelPlace| TOP + LABEL * float(place.line);
        for (mark, place) in self.marks.iter().zip(places) {
            let (x, label) = (frame.x(mark.at), escape(&mark.label));
            let from = place.as_ref().map_or(frame.top, |place| height(place) - 9.0);
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"><title>{label}</title></line>",
                HEIGHT - BOTTOM
            );
        }
        for (mark, place) in self.marks.iter().zip(places) {
            let Some(place) = place else { continue };
            let (aside, anchor) = if place.leftward { (-3.0, "end") } else { (3.0, "start") };
            let (x, y) = (frame.x(mark.at) + aside, height(place));
            let label = escape(&mark.label);
            let _ = writeln!(
                svg,
                "<text class=\"mark-label\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{label}</text>"
            );
        }
    }

    /// The meaning of the colors, where there are several.
    fn legend(&self, text: &mut String) {
        let lines = self.series.iter().filter(|_| self.series.len() > 1);
        let mut keys: Vec<(String, &str)> =
            lines.map(|series| (format!("c{}", series.color), series.name.as_str())).collect();
        if !self.bands.is_empty() {
            keys.push(("during".to_string(), "a fault lasts"));
        }
        if keys.is_empty() {
            return;
        }
        text.push_str("<p class=\"legend\">");
        for (class, name) in keys {
            let _ = write!(text, "<span><span class=\"key {class}\"></span>{}</span> ", escape(name));
        }
        text.push_str("</p>\n");
    }

    /// For each mark where its label stands clear of the others, if there is such a place.
    fn places(&self, frame: &Frame) -> Vec<Option<LabelPlace>> {
        let mut ends = [f64::MIN; LABEL_LINES_MAX];
        let place = |mark: &Mark| {
            let at = frame.x(mark.at);
            let width = LETTER * float(mark.label.chars().count() as u64) + 8.0;
            let leftward = at + width > WIDTH + LETTER;
            let (begin, end) = if leftward { (at - width, at) } else { (at, at + width) };
            let line = ends.iter().position(|taken| *taken <= begin).filter(|_| begin >= 0.0)?;
            ends[line] = end;
            Some(LabelPlace { line: line as u64, leftward })
        };
        self.marks.iter().map(place).collect()
    }

    fn frame(&self) -> Frame {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ends = points().map(|(at, _)| *at).chain(self.ticks.iter().map(|(at, _)| *at));
        let (left, right) = ends.fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
        let (left, right) = if left < right { (left, right) } else { (0.0, left.clamp(1.0, 1e12)) };
        let values = points().filter_map(|(_, value)| *value).filter(|value| *value > 0.0);
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        let (low, high) = match self.vertical {
            Scale::Linear => (0.0, nice(high)),
            Scale::Logarithmic => {
                let (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
                (low, if high > low { high } else { low * 10.0 })
            }
        };
        Frame { top: TOP, left, right, low, high, horizontal: self.horizontal, vertical: self.vertical }
    }

    fn grid(&self, frame: &Frame, svg: &mut String) {
        let values: Vec<f64> = match self.vertical {
            Scale::Linear => (0..=4).map(|quarter| frame.high * float(quarter) / 4.0).collect(),
            Scale::Logarithmic => {
                let mut values = vec![frame.low];
                while values.last().is_some_and(|value| value * 9.0 < frame.high) {
                    values.extend(values.last().map(|value| value * 10.0));
                }
                values
            }
        };
        for value in values {
            let y = frame.y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                escape(&(self.shown)(value))
            );
        }
        let base = HEIGHT - BOTTOM;
        for (at, label) in &self.ticks {
            let x = frame.x(*at);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{base}\" x2=\"{x:.1}\" y2=\"{:.1}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                base + 4.0,
                base + 18.0,
                escape(label)
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 6.0,
            escape(self.axis)
        );
    }

    fn line(&self, series: &Series, frame: &Frame, svg: &mut String) {
        let (mut path, mut step) = (String::new(), "M");
        for (at, value) in &series.points {
            match value.filter(|value| self.has(*value)) {
                Some(value) => {
                    let _ = write!(path, "{step}{:.1} {:.1}", frame.x(*at), frame.y(value));
                    step = "L";
                }
                // A gap lifts the pen.
                None => step = "M",
            }
        }
        let _ = writeln!(svg, "<path class=\"line c{}\" d=\"{path}\"/>", series.color);
    }

    /// The points of a line, each with its value as a title.
    fn dots(&self, series: &Series, frame: &Frame, svg: &mut String) {
        let (color, name) = (series.color, escape(&series.name));
        for (at, value) in &series.points {
            let Some(value) = value.filter(|value| self.has(*value)) else { continue };
            let (x, y, shown) = (frame.x(*at), frame.y(value), escape(&(self.shown)(value)));
            let _ = write!(
                svg,
                "<circle class=\"dot c{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"><title>{name} at {at}: {shown}</title></circle>"
            );
        }
        svg.push('\n');
    }

    /// Whether the vertical axis has this value.
    fn has(&self, value: f64) -> bool {
        value > 0.0 || self.vertical == Scale::Linear
    }
}

/// Labels of a horizontal axis of time, in seconds, at whole steps.
pub(super) fn seconds(until: f64) -> Vec<(f64, String)> {
    let steps = [1_u64, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 36_000];
    let step = steps.into_iter().find(|step| until / float(*step) <= 12.0).unwrap_or(360_000);
    let last = whole((until + 0.5) / float(step));
    (0..=last).map(|nth| nth * step).map(|at| (float(at), format!("{at} s"))).collect()
}

/// The next number above that has one digit and zeros.
fn nice(value: f64) -> f64 {
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0]
        .into_iter()
        .map(|step| step * unit)
        .find(|high| *high >= value)
        .unwrap_or(10.0 * unit)
}

#[cfg(test)]
mod tests;
